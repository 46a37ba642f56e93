"""`convert`: checkpoints of every code base of Wan 2.1 to diffusers' layout and back."""

import argparse
from dataclasses import replace
from pathlib import Path

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import add_output
from workbench.requests.outputs import check_outputs

FILES = (".safetensors", ".pt")  # endings of a file; a name may have numbers after a point, as wan-1.3b
DTYPES = ("float32", "bfloat16", "float16")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "convert",
        help="read a Wan checkpoint, write another layout",
        description="Tell what a checkpoint of Wan 2.1's family holds, and write it in another layout. OUT is a "
        "folder for diffusers' layout, or a file ending in .safetensors or .pt for the original names. A folder "
        "written here remembers the layout it came from, and converting it back restores that.",
        epilog="example: python -m workbench convert self_forcing_dmd.pt self-forcing/ --dtype bfloat16",
    )
    parser.add_argument(
        "source", metavar="IN", help="a file or folder; FILE#ENTRY picks an entry, BASE+LORA merges a LoRA"
    )
    add_output(
        parser,
        "out",
        folder=None,
        files=_files,
        metavar="OUT",
        nargs="?",
        help="a folder, .safetensors or .pt; none only tells",
    )
    parser.add_argument("--dtype", choices=DTYPES, help="cast the weights (default: as they are)")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def _files(out: Path, options: argparse.Namespace) -> list[Path]:
    """What is written for OUT: the file, or those of a diffusers folder."""
    from models.wan.files import FOLDER_FILES

    return [out] if out.suffix in FILES else [out / name for name in FOLDER_FILES]


def run(options: argparse.Namespace) -> int:
    """Read, tell, write."""
    import torch

    from models.wan.files import read_layout, write_folder, write_network
    from models.wan.load import check_whole, head_dim_of, network_config, read_source
    from models.wan.source import network_source, parse_source

    source = network_source(parse_source(options.source))
    if source.row:
        raise RequestError(f"IN {options.source!r} names a row, which says how a network is sampled; leave @ out")
    _check_out(options, source.files)
    network, head_dim = read_source(source), head_dim_of(source.path)
    check_whole(network, head_dim)
    layout = read_layout(source.path) if source.path.is_dir() else None
    if layout:
        network = replace(network, layout=layout)
    config = network_config(network, head_dim)
    if options.out:
        dtype = getattr(torch, options.dtype) if options.dtype else None
        if options.out.suffix in FILES:
            write_network(network if layout or not source.path.is_dir() else _unnamed(network), options.out, dtype)
        else:
            write_folder(network, options.out, config, dtype)
    if options.json:
        say_json(
            {
                "network": network.table.what,
                "tensors": len(network.state),
                "parameters": sum(tensor.numel() for tensor in network.state.values()),
                "entry": network.layout.entry,
                "entries": list(network.others),
                "ignored": list(network.layout.ignored),
                "config": config,
                "out": options.out,
            }
        )
        return 0
    say(network.report())
    if options.out:
        say(str(options.out))
    return 0


def _unnamed(network):
    """A network of a diffusers folder, to be written under original names."""
    return replace(network, layout=replace(network.layout, names={}))


def _check_out(options: argparse.Namespace, inputs: list[Path]) -> None:
    out = options.out
    if out is None:
        return
    if out.suffix not in FILES and out.suffix[1:].isalpha() and not out.is_dir():
        raise RequestError(f"OUT {str(out)!r} is of no known layout; give a folder, or a file .safetensors or .pt")
    files = _files(out, options)
    check_outputs(files, inputs, "OUT", overwrite=options.overwrite)
    others = [path for path in sorted(out.glob("*.safetensors*")) if path not in files]
    if others:
        raise RequestError(
            f"OUT {str(out)!r} holds another network's {others[0].name}, which would be read for this one; choose "
            "another name"
        )
    if out.is_dir() and any(out.iterdir()) and not options.overwrite:
        raise RequestError(f"OUT {str(out)!r} is there already and not empty; choose another name, or --overwrite")
    if not out.absolute().parent.is_dir():
        raise RequestError(f"OUT {str(out)!r} is in a folder that is not there; make {str(out.parent)!r} first")
