"""Our numbers beside those of VBench's own code, with the same random weights and clips, end to end from an mp4 file.

Needs checkouts, named by VBENCH_CHECKOUT (Vchitect/VBench), DINO_CHECKOUT (facebookresearch/dino) and PYIQA_CHECKOUT
(a folder that holds `pyiqa`), and what VBench imports (decord, openai-clip, easydict, omegaconf, scipy, einops, ...).
What is absent is skipped, with the reason.
"""

import importlib
import os
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from eval.evaluator import Source, evaluate
from eval.metric import Resources
from eval.metrics import create_metrics
from tests.helpers.vbench_weights import raft_state, save, small_clip
from workbench.commands.lab.timing.bench_evaluate import vbench_score

SEEDS = [0, 1, 2]
TOLERANCE = 1e-4


def checkout(variable: str, inside: str) -> str:
    folder = os.environ.get(variable, "")
    if not folder or not (Path(folder) / inside).exists():
        pytest.skip(f"{variable} does not name a folder with {inside}")
    return folder


def reference(module: str, variable: str = "VBENCH_CHECKOUT", inside: str = "vbench/utils.py"):
    """A module of a checkout, or a skip that says what is not there."""
    folder = checkout(variable, inside)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: a checkout's own `eval` or `models` must not hide ours
    return pytest.importorskip(module, exc_type=ImportError)


@pytest.fixture(params=SEEDS, scope="module")
def seed(request):
    return request.param


@pytest.fixture(scope="module")
def video(seed, tmp_path_factory):
    """A path to an mp4 of random blobs that drift and change, 7 frames at 16 a second."""
    generator = np.random.default_rng(seed)
    height, width = [(128, 160), (136, 200), (150, 130)][seed % 3]
    coarse = generator.integers(0, 256, (2, height // 8 + 2, width // 8 + 4, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("clips") / f"a red square moving {seed}-0.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 16, (width, height))
    for t in range(7):
        mixed = cv2.addWeighted(coarse[0], 1 - t / 9, coarse[1], t / 9, 0)
        large = cv2.resize(mixed, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        writer.write(np.ascontiguousarray(large[:height, 3 * t : 3 * t + width]))
    writer.release()
    return str(path)


def ours(name, folder, video, **source):
    (scores,) = evaluate([Source("c", path=Path(video), **source)], create_metrics([name], Resources(weights=folder)))
    result = scores.results[name]
    assert result.value is not None, result.reason
    return result


def openai_clip(state):
    return importlib.import_module("clip.model").build_model(dict(state)).float().eval()


def test_temporal_flickering(video, tmp_path):
    theirs = reference("vbench.temporal_flickering").temporal_flickering([video])[0]
    assert ours("temporal_flickering", tmp_path, video).value == pytest.approx(theirs, abs=1e-6)


def test_temporal_flickering_by_its_functions_alone(video, tmp_path):
    """The same without what VBench's package imports besides."""
    theirs = vbench_score(Path(checkout("VBENCH_CHECKOUT", "vbench/temporal_flickering.py")))(video)
    assert ours("temporal_flickering", tmp_path, video).value == pytest.approx(theirs, abs=1e-6)


def test_subject_consistency(video, seed, tmp_path):
    vbench = reference("vbench.subject_consistency")
    dino = reference("vision_transformer", "DINO_CHECKOUT", "vision_transformer.py")
    torch.manual_seed(seed)
    model = dino.VisionTransformer(
        patch_size=16,
        embed_dim=128,
        depth=3,
        num_heads=2,
        qkv_bias=True,
        norm_layer=lambda d: nn.LayerNorm(d, eps=1e-6),
    ).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    save(tmp_path, "dino_b16", model.state_dict())
    value, entries = vbench.subject_consistency(model, [video], "cpu", False)
    found = ours("subject_consistency", tmp_path, video)
    assert found.value == pytest.approx(value, abs=TOLERANCE)
    assert found.value == pytest.approx(entries[0]["video_results"], abs=TOLERANCE)


def test_background_consistency(video, seed, tmp_path):
    vbench = reference("vbench.background_consistency")
    state = small_clip(seed).state_dict()
    save(tmp_path, "clip_b32", state)
    value, entries = vbench.background_consistency(openai_clip(state), None, [video], "cpu", False)
    found = ours("background_consistency", tmp_path, video)
    assert found.value == pytest.approx(value, abs=TOLERANCE)
    assert sum(found.per_frame[1:]) == pytest.approx(entries[0]["video_sim"], abs=TOLERANCE)


def test_aesthetic_quality(video, seed, tmp_path):
    vbench = reference("vbench.aesthetic_quality")
    state = small_clip(seed, patch=56).state_dict()
    head = nn.Linear(64, 1)
    save(tmp_path, "clip_l14", state)
    save(tmp_path, "aesthetic_head", head.state_dict())
    value, _ = vbench.laion_aesthetic(head, openai_clip(state), [video], "cpu")
    assert ours("aesthetic_quality", tmp_path, video).value == pytest.approx(value, abs=TOLERANCE)


def test_appearance_style(video, seed, tmp_path):
    vbench = reference("vbench.appearance_style")
    state = small_clip(seed).state_dict()
    save(tmp_path, "clip_b32", state)
    label = {"appearance_style": "Van Gogh style"}
    info = [{"auxiliary_info": label, "video_list": [video]}]
    value, entries = vbench.appearance_style(openai_clip(state), info, "cpu")
    found = ours("appearance_style", tmp_path, video, auxiliary={"appearance_style": label})
    assert found.value == pytest.approx(value, abs=TOLERANCE)
    assert found.per_frame == pytest.approx(entries[0]["frame_results"], abs=TOLERANCE)


def test_clip_score(video, seed, tmp_path):
    folder = checkout("VBENCH_CHECKOUT", "competitions/clip_score.py")
    reference("vbench.utils")
    sys.path.append(str(Path(folder) / "competitions"))
    # only VBench-Long's pooling is taken from there, and importing it needs a torchvision that is gone
    package = sys.modules.setdefault("vbench2_beta_long", types.ModuleType("vbench2_beta_long"))
    package.utils = sys.modules.setdefault("vbench2_beta_long.utils", types.ModuleType("vbench2_beta_long.utils"))
    package.utils.reorganize_clips_results = lambda results: results
    vbench = pytest.importorskip("clip_score", exc_type=ImportError)
    state = small_clip(seed).state_dict()
    save(tmp_path, "clip_b32", state)
    prompt = "a red square moving right " * 20
    info = [{"prompt": prompt, "video_list": [video]}]
    with torch.no_grad():
        value, _ = vbench.clip_alignment(openai_clip(state), info, None, "cpu")
    assert ours("clip_score", tmp_path, video, prompt=prompt).value == pytest.approx(value, abs=TOLERANCE)


def test_imaging_quality(video, seed, tmp_path):
    vbench = reference("vbench.imaging_quality", "VBENCH_CHECKOUT", "vbench/imaging_quality.py")
    musiq = reference("pyiqa.archs.musiq_arch", "PYIQA_CHECKOUT", "pyiqa/archs/musiq_arch.py")
    torch.manual_seed(seed)
    model = musiq.MUSIQ(pretrained=False, num_layers=4)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    model.training = False
    save(tmp_path, "musiq_spaq", model.state_dict())
    with torch.no_grad():
        value, entries = vbench.technical_quality(model, [video], "cpu")
    found = ours("imaging_quality", tmp_path, video)
    assert found.value == pytest.approx(value, abs=TOLERANCE)
    assert 100 * found.value == pytest.approx(entries[0]["video_results"], abs=TOLERANCE)


def test_motion_smoothness(video, seed, tmp_path):
    vbench = reference("vbench.motion_smoothness")
    amt = importlib.import_module("vbench.third_party.amt.networks.AMT-S")
    torch.manual_seed(seed)
    path = save(tmp_path, "amt_s", {"state_dict": amt.Model().state_dict()})
    config = Path(os.environ["VBENCH_CHECKOUT"]) / "vbench/third_party/amt/cfgs/AMT-S.yaml"
    value, _ = vbench.motion_smoothness(vbench.MotionSmoothness(str(config), str(path), "cpu"), [video])
    assert ours("motion_smoothness", tmp_path, video).value == pytest.approx(value, abs=TOLERANCE)


def test_dynamic_degree(video, seed, tmp_path):
    vbench = reference("vbench.dynamic_degree")
    easydict = pytest.importorskip("easydict")
    raft = importlib.import_module("vbench.third_party.RAFT.core.raft")
    torch.manual_seed(seed)
    arguments = {"small": False, "mixed_precision": False, "alternate_corr": False}
    network = raft.RAFT(easydict.EasyDict(arguments))
    state = {name: 0.5 * tensor if tensor.ndim > 1 else tensor for name, tensor in network.state_dict().items()}
    path = save(tmp_path, "raft_things", {f"module.{name}": tensor for name, tensor in state.items()})
    theirs = vbench.DynamicDegree(easydict.EasyDict({**arguments, "model": str(path)}), "cpu")
    lengths = []
    check = theirs.check_move
    theirs.check_move = lambda found: lengths.extend(found) or check(found)
    verdict = theirs.infer(video)
    result = ours("dynamic_degree", tmp_path, video)
    assert [length for length in result.per_frame if length is not None] == pytest.approx(lengths, abs=TOLERANCE)
    assert bool(result.value) == verdict


def test_torchvisions_own_raft_weights_load(tmp_path):
    save(tmp_path, "raft_things", raft_state(0))
    found = evaluate(
        [Source("c", frames=np.zeros((2, 128, 128, 3), np.uint8), fps=8.0)],
        create_metrics(["dynamic_degree"], Resources(weights=tmp_path)),
    )
    assert next(found).results["dynamic_degree"].value is not None


def test_i2v_subject(video, seed, tmp_path):
    vbench = reference("vbench2_beta_i2v.i2v_subject", "VBENCH_CHECKOUT", "vbench2_beta_i2v/i2v_subject.py")
    dino = reference("vision_transformer", "DINO_CHECKOUT", "vision_transformer.py")
    torch.manual_seed(seed)
    model = dino.VisionTransformer(
        patch_size=16,
        embed_dim=128,
        depth=2,
        num_heads=2,
        qkv_bias=True,
        norm_layer=lambda d: nn.LayerNorm(d, eps=1e-6),
    ).eval()
    save(tmp_path, "dino_b16", model.state_dict())
    picture = np.random.default_rng(seed).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), picture[..., ::-1])
    with torch.no_grad():
        value, _ = vbench.i2v_subject(model, [(str(tmp_path / "picture.png"), video)], "cpu")
    assert ours("i2v_subject", tmp_path, video, image=picture).value == pytest.approx(value, abs=TOLERANCE)


def test_viclip(video, seed, tmp_path):
    """Overall consistency and temporal style, whose code is the same, with ViCLIP's own classes two layers deep."""
    vbench = reference("vbench.overall_consistency")
    vision = importlib.import_module("vbench.third_party.ViCLIP.viclip_vision")
    text = importlib.import_module("vbench.third_party.ViCLIP.viclip_text")
    tokenizer = pytest.importorskip("clip.simple_tokenizer")
    torch.manual_seed(seed)

    class SmallViCLIP(nn.Module):
        """ViCLIP's two classes, joined as its own wrapper joins them."""

        def __init__(self):
            super().__init__()
            self.vision_encoder = vision.VisionTransformer(224, 56, 64, 2, 1, output_dim=64)
            self.text_encoder = text.CLIP_TEXT(64, 32, 49408, 64, 1, 2, checkpoint_num=0)

        def encode_vision(self, image, test):
            return self.vision_encoder(image.permute(0, 2, 1, 3, 4).contiguous())

        def encode_text(self, words):
            return self.text_encoder(self.text_encoder.tokenize(words, context_length=32))

    # the text tower opens a vocabulary file of the weights folder; openai-clip ships the same one
    text._Tokenizer = tokenizer.SimpleTokenizer
    try:
        model = SmallViCLIP().eval()
    except TypeError as error:
        pytest.skip(f"this checkout's ViCLIP classes are built differently: {error}")
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.1)
    save(tmp_path, "viclip", {"model": model.state_dict()})
    prompt = "a red square moving right on a black background, in slow motion, " * 4
    vbench.get_text_features.__defaults__[0].clear()  # VBench remembers a prompt's feature across models
    value, _ = vbench.overall_consistency(model, [{"prompt": prompt, "video_list": [video]}], None, "cpu")
    assert ours("overall_consistency", tmp_path, video, prompt=prompt).value == pytest.approx(value, abs=TOLERANCE)
