"""`teacher-check`: what a teacher shows of held-out captions."""

import argparse
from pathlib import Path

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, SEED, add_output


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "teacher-check",
        help="check a teacher on held-out captions, also while it trains",
        description="Make clips of held-out captions by a teacher, from a training's last save or from exported "
        "weights, and tell how many the oracle finds right, part by part.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a training, or a folder with teacher and text_encoder"
    )
    parser.add_argument("--captions", type=COUNT, default=12, metavar="N", help="held-out captions (default 12)")
    parser.add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="caption i is made with seed + i (default 0)"
    )
    parser.add_argument("--steps", type=COUNT, default=24, metavar="N", help="steps of the sampler (default 24)")
    parser.add_argument("--shift", type=float, default=8.0, metavar="X", help="of its noise levels (default 8)")
    parser.add_argument("--guidance", type=float, default=2.0, metavar="X", help="scale of guidance (default 2)")
    parser.add_argument("--world", choices=["tabletop", "shapes"], default="tabletop", help="default: tabletop")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="as for train (default fp32)")
    add_output(parser, "--sheet", metavar="F.png", help="write five frames of every clip into a picture")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name, least in (("captions", 1), ("steps", 1), ("seed", 0)):
        if getattr(options, name) < least:
            raise RequestError(f"--{name} {getattr(options, name)} is too low; give {least} or more")
    if not 0 < options.shift < 1000 or not 0 <= options.guidance < 1000:
        raise RequestError(
            f"--shift {options.shift:g} with --guidance {options.guidance:g} samples nothing; give 8 and 2"
        )
    from eval.statistics.intervals import wilson
    from models.worlds.captions import held_out_captions
    from workbench.experiments.teacher_quality import Sampling, contact_sheet, judged_clips, load_teacher, right_counts

    teacher = load_teacher(options.folder, options.world)
    prompts = held_out_captions(options.world, options.captions)
    how = Sampling(options.steps, options.shift, options.guidance)
    made = judged_clips(teacher, options.world, prompts, how, seed=options.seed, precision=options.precision)
    clips = []
    for clip in made:
        clips.append(clip)
        if not options.json:
            wrong = ", ".join(part for part, right in clip.right_parts.items() if not right)
            say(f"{clip.prompt}: {f'wrong {wrong}' if wrong else 'right'}")
    if options.sheet:
        from workbench.clips.media import write_png

        write_png(options.sheet, contact_sheet(clips))
    counts = {part: wilson(count, len(clips)) for part, count in right_counts(clips).items()}
    if options.json:
        rows = [
            {"part": part, "right": at.value, "low": at.low, "high": at.high, "n": at.n} for part, at in counts.items()
        ]
        say_json({"step": teacher.step, "rows": rows})
        return 0
    trained = "" if teacher.step is None else f" after {teacher.step:,} steps"
    say(f"Right{trained}, of {len(clips)}, with 95 % intervals:")
    for part, at in counts.items():
        say(f"  {part}: {at.value:.0%} ({at.low:.0%} to {at.high:.0%})")
    return 0
