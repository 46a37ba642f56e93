"""`texture-reference`: measure the texture of rendered clips, which texture spectrum distances are told from."""

import argparse
from pathlib import Path

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say
from workbench.requests.arguments import COUNT, SEED, add_output


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "texture-reference",
        help="measure the texture of rendered clips",
        description="Render clips of every ground of the tabletop world and write the mean power of each octave of "
        "detail, from which texture_spectrum_distance is told.",
    )
    parser.add_argument("--clips", type=COUNT, default=32, metavar="N", help="clips of each ground (default 32)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="0 or more (default 0)")
    add_output(
        parser,
        "--out",
        default=lambda options: _own_reference(),
        metavar="F.json",
        help="the file to write (default: the metric's own, in assets)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from eval.realism.texture_spectrum import spectrum_reference
    from workbench.experiments.texture_reference import reference_captions, reference_spectra

    total = len(reference_captions(options.clips))
    measured = tqdm(reference_spectra(options.clips, options.seed), total=total, unit="clip", disable=None)
    spectra, captions = zip(*measured, strict=True)
    out = options.out or _own_reference()
    try:
        spectrum_reference(spectra, captions).write(out)
    except OSError as error:
        raise RequestError(f"--out {str(out)!r} cannot be written ({error.strerror}); choose another file") from error
    say(str(out))
    return 0


def _own_reference() -> Path:
    """The file that the metric reads."""
    from eval.metrics.picture.texture_spectrum_distance import REFERENCE

    return REFERENCE
