import av
import numpy as np
import pytest
from PIL import Image

from models.types import RequestError
from models.whole_files import replacing
from tests.conftest import png_that_says
from workbench.clips.media import decode_mp4, encode_mp4, read_image, write_png


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_a_clip_survives_the_way_through_mp4(tmp_path, world_clip):
    encode_mp4(world_clip, 12, tmp_path / "clip.mp4")
    frames, fps = decode_mp4(tmp_path / "clip.mp4")
    assert (frames.shape, frames.dtype, fps) == (world_clip.shape, np.uint8, 12.0)
    assert psnr(frames, world_clip) > 36


@pytest.mark.parametrize(
    "color", [(230, 40, 40), (40, 230, 40), (40, 40, 230), (255, 255, 255), (0, 0, 0), (128, 64, 32)]
)
def test_flat_colours_come_back_within_two_levels(tmp_path, color):
    clip = np.full((9, 64, 64, 3), color, np.uint8)
    encode_mp4(clip, 12, tmp_path / "clip.mp4")
    frames, _ = decode_mp4(tmp_path / "clip.mp4")
    assert np.abs(frames.astype(int) - clip).max() <= 2


def test_the_file_is_what_browsers_play(tmp_path, world_clip):
    path = tmp_path / "clip.mp4"
    encode_mp4(world_clip, 12, path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, stream.frames, float(stream.average_rate)) == ("h264", "yuv420p", 49, 12.0)
        assert (int(codec.colorspace), int(codec.color_primaries), int(codec.color_trc)) == (1, 1, 1)
        assert not codec.has_b_frames
        times = [float(frame.time) for frame in container.decode(stream)]
    assert times == pytest.approx([index / 12 for index in range(49)], abs=1e-3)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path, world_clip):
    for name in "ab":
        encode_mp4(world_clip, 12, tmp_path / f"{name}.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_single_frame_is_a_clip(tmp_path, world_clip):
    encode_mp4(world_clip[:1], 12, tmp_path / "one.mp4")
    assert len(decode_mp4(tmp_path / "one.mp4")[0]) == 1


@pytest.mark.parametrize(
    "frames, rule",
    [
        (np.zeros((2, 63, 64, 3), np.uint8), "even sides"),
        (np.zeros((2, 64, 64, 3), np.float32), r"uint8 \(T, H, W, 3\)"),
        (np.zeros((64, 64, 3), np.uint8), r"uint8 \(T, H, W, 3\)"),
        (np.zeros((0, 64, 64, 3), np.uint8), "T >= 1"),
    ],
)
def test_other_layouts_are_refused_and_leave_nothing(tmp_path, frames, rule):
    with pytest.raises(ValueError, match=rule):
        encode_mp4(frames, 12, tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not a video at all", b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
def test_what_is_not_a_video_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(RequestError, match=r"x\.mp4.*an H\.264 mp4"):
        decode_mp4(tmp_path / "x.mp4")


def test_a_missing_video_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(RequestError, match="No such file"):
        decode_mp4(tmp_path / "none.mp4")


def test_a_picture_comes_back_exactly(tmp_path, world_clip):
    write_png(tmp_path / "p.png", world_clip[0])
    assert np.array_equal(read_image(tmp_path / "p.png"), world_clip[0])


def test_a_photograph_is_turned_upright_by_its_tag(tmp_path):
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees to the right
    image.save(tmp_path / "p.png", exif=exif)
    pixels = read_image(tmp_path / "p.png")
    assert pixels.shape == (40, 20, 3)
    assert pixels[:20].min() == 255 and pixels[20:].max() == 0


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").min() == 255


@pytest.mark.parametrize("mode, colour", [("P", 0), ("L", 0), ("LA", (0, 255)), ("1", 0), ("CMYK", (0, 0, 0, 255))])
def test_every_mode_becomes_rgb(tmp_path, mode, colour):
    Image.new(mode, (16, 8), colour).save(tmp_path / ("p.jpg" if mode == "CMYK" else "p.png"))
    (path,) = tmp_path.iterdir()
    pixels = read_image(path)
    assert (pixels.shape, pixels.dtype) == ((8, 16, 3), np.uint8)
    assert pixels.max() <= 2


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 257 * 100, np.uint16)).save(tmp_path / "p.png")
    assert set(read_image(tmp_path / "p.png").ravel()) == {100}


@pytest.mark.parametrize(
    "content, words",
    [
        (b"hello, I am text\n", "is not a picture; give a PNG"),
        (b"", "is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is not a picture"),
        (png_that_says(64, 64), "cannot be read"),
        (png_that_says(20_000, 20_000), "use at most 64,000,000 pixels"),
        (png_that_says(10_000, 10_000), "is 10000x10000 pixels; use at most 64,000,000 pixels"),
        (png_that_says(20_000, 64), "16,384 pixels a side"),
    ],
)
def test_what_cannot_be_a_first_frame_is_refused_in_a_sentence(tmp_path, recwarn, content, words):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(RequestError, match=words) as refusal:
        read_image(tmp_path / "x.png")
    assert "x.png" in str(refusal.value) and "\n" not in str(refusal.value)
    # other tests' leftovers may be collected, and warned of, while this one runs
    assert not [warning for warning in recwarn if issubclass(warning.category, Image.DecompressionBombWarning)]


def test_the_limit_of_a_picture_is_settable(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").shape == (30, 40, 3)
    monkeypatch.setenv("WORKBENCH_LIMITS", "picture_pixels=1000")
    with pytest.raises(RequestError, match=r"40x30 pixels; use at most 1,000 pixels .*picture_pixels=N allows more"):
        read_image(tmp_path / "x.png")


def test_a_folder_and_a_missing_picture_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(RequestError, match="Is a directory"):
        read_image(tmp_path)
    with pytest.raises(RequestError, match="No such file"):
        read_image(tmp_path / "none.png")
