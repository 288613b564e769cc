"""The commands of segmentation runs."""

import dataclasses
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from frugalseg.commands.common import data_name, named, progress, result_path, same_data, say
from frugalseg.errors import FrugalsegError
from frugalseg.options import Size, parse_size
from frugalseg.runs import Run, SegmentConfig, load_run


def segment(data: Path, folder: Path | None, config: SegmentConfig) -> None:
    """Train a run, evaluate it on val, and write its page."""
    from frugalseg.training.fit import is_main_process
    from frugalseg.training.segment import open_data, train_segmentation

    config = dataclasses.replace(config, data=str(data))
    if folder is None:
        points = "x".join(map(str, config.size))
        folder = Path("runs") / f"{data.resolve().name}-{config.sampler}-{points}-{config.seed}"
    train_segmentation(config, folder, progress=sys.stderr.isatty(), say=say)
    if not is_main_process():
        return
    if open_data(config).splits.get("val"):
        evaluate(folder, None, "val")
        _write_page([_load(folder)], "val", folder / "report.html", images=4)
    say(f"The run is in {folder}. Next: frugalseg predict {folder} IMAGES")


def evaluate(folder: Path, data: Path | None, split: str) -> dict[str, Any]:
    """Evaluate a run on a split, write ``results/DATA-SPLIT.json``, print a table."""
    from frugalseg.evaluation.results import markdown_table, write_result

    run = _load(folder)
    result = _evaluate(run, data, split)
    path = result_path(folder, data_name(run.config.data, data), split)
    write_result(result, path)
    print(markdown_table([result]), end="")
    for name, iou in result["scores"]["iou"].items():
        print(f"  {name:20s} {'absent' if iou is None else f'{iou:.3f}'}")
    say(f"Written: {path}")
    return result


def predict(folder: Path, images: Sequence[Path], out: Path | None) -> None:
    """Label images; go on past broken ones and fail at the end."""
    from frugalseg.data.folder import list_images
    from frugalseg.data.images import read_image
    from frugalseg.data.masks import write_labels
    from frugalseg.files import refuse_overwriting
    from frugalseg.reports.pictures import overlay, save_jpeg

    run = _load(folder)
    if run.model.needs_truth():
        raise FrugalsegError(f"{folder} samples by true boundaries: it cannot label new images.")
    out = folder / "predictions" if out is None else out
    files = named(images, list_images)
    written = [(out / f"{name}.png", out / f"{name}.overlay.jpg") for _, name in files]
    refuse_overwriting([path for path, _ in files], chain.from_iterable(written))
    broken = []
    for (path, _), (labels, shown) in progress([*zip(files, written, strict=True)], "images"):
        try:
            answer = run.model.predict(path)
            picture = overlay(read_image(path), answer.labels, run.classes.colours)
        except FrugalsegError as error:
            broken.append(path)
            say(f"frugalseg: {error}")
            continue
        write_labels(answer.labels, labels, run.classes)
        save_jpeg(picture, shown)
    done = len(files) - len(broken)
    say(f"{done} of {len(files)} images labelled, in {out}.")
    if broken:
        raise FrugalsegError(f"{len(broken)} of {len(files)} images could not be labelled (above).")


def compare(folders: Sequence[Path], split: str, out: Path, images: int) -> None:
    """Compare runs on a split; evaluates those that have no result for it."""
    from frugalseg.evaluation.results import markdown_table_over_seeds

    runs = [_load(folder) for folder in folders]
    _same_classes(runs)
    same_data([(run.folder, run.config.data) for run in runs])
    results = _write_page(runs, split, out, images)
    print(markdown_table_over_seeds(results), end="")


def _write_page(runs: Sequence[Run], split: str, out: Path, images: int) -> list[dict[str, Any]]:
    """Write the page of some runs of the same data; evaluates those that have no result yet."""
    from frugalseg.evaluation.results import read_result, write_result
    from frugalseg.reports.compare import label_results, write_comparison
    from frugalseg.reports.examples import predict_examples
    from frugalseg.training.segment import open_data

    results = []
    for run in runs:
        path = result_path(run.folder, data_name(run.config.data, None), split)
        if not path.exists():
            say(f"Evaluating {run.folder} on {split}")
            write_result(_evaluate(run, None, split), path)
        results.append(read_result(path))
    data = open_data(runs[0].config)
    labels = label_results(results)
    examples = predict_examples(runs, labels, data.splits[split], max(images, 0), data.classes)
    write_comparison(results, examples, out)
    say(f"Written: {out}")
    return results


def sampling(
    image: Path,
    mask: Path | None,
    folder: Path | None,
    classes: Path | None,
    targets: Sequence[str] | None,
    size: Size,
    out: Path,
) -> None:
    """Draw samplings of one image."""
    from frugalseg.data.images import read_image
    from frugalseg.reports.sampling import write_sampling_figure

    if (mask is None) == (folder is None):
        raise FrugalsegError("Give either --mask (true boundaries) or --run (a trained sampler).")
    pixels = read_image(image)
    labels, colours = None, None
    if folder is not None:
        run = _load(folder)
        if run.model.needs_truth():
            raise FrugalsegError(f"{folder} samples by true boundaries: give the --mask instead.")
        answer = run.model.predict(image)
        samplings = {f"{run.config.sampler} of {folder.name}": answer.phi.numpy()}
        labels, colours = answer.labels, run.classes.colours
    else:
        assert mask is not None
        labels, colours, samplings = _true_samplings(pixels, mask, classes, targets, size)
    of = "mask" if folder is None else "answer"
    write_sampling_figure(pixels, labels, samplings, out, colours=colours, of=of)
    say(f"Written: {out}")


def check(folder: Path, classes: Path | None, ignore: Sequence[str], mapping: Path | None) -> None:
    """Print what a folder holds; fail where it has problems."""
    from frugalseg.data.check import check_folder, format_report

    report = check_folder(folder, classes=classes, ignore=ignore, mapping=mapping)
    print(format_report(report))
    if report.problems:
        count = len(report.problems)
        raise FrugalsegError(f"{folder} has {count} problem{'s' * (count > 1)} (above).")


def study(
    data: Path,
    out: Path,
    samplers: Sequence[str],
    sizes: Sequence[str],
    seeds: Sequence[int],
    split: str,
    runs: Path,
    config: SegmentConfig,
) -> None:
    """Train and evaluate every combination, and print the table."""
    from frugalseg.recipes.study import run_study

    config = dataclasses.replace(config, data=str(data))
    points = [parse_size(size) for size in sizes]
    print(run_study(config, samplers, points, seeds, split, out, runs, say), end="")
    say(f"Written: {out}")


def _load(folder: Path) -> Run:
    from frugalseg._memory import keep_freed_memory

    keep_freed_memory()
    return load_run(folder)


def _evaluate(run: Run, data: Path | None, split: str) -> dict[str, Any]:
    from frugalseg.evaluation.evaluate import evaluate_run
    from frugalseg.training.segment import open_data

    config = run.config if data is None else dataclasses.replace(run.config, data=str(data))
    return evaluate_run(run, open_data(config), split, lambda s: progress(s, split))


def _same_classes(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.classes.names != runs[0].classes.names:
            raise FrugalsegError(
                f"{runs[0].folder} and {run.folder} have other classes: compare runs on one data "
                "set."
            )


def _true_samplings(
    pixels: Any, mask: Path, classes: Path | None, targets: Sequence[str] | None, size: Size
) -> tuple[Any, Any, dict[str, Any]]:
    """Samplings by true boundaries: equal density, and the sweep of smoothness of figure 3."""
    import torch

    from frugalseg.data.classes import infer_classes, read_classes
    from frugalseg.data.masks import only_ids, read_mask, read_raw
    from frugalseg.networks.samplers import default_view
    from frugalseg.sampling import (
        boundary_density,
        boundary_sampling,
        equal_density_sampling,
        uniform_sampling,
    )

    found = classes or next(
        (p / "classes.csv" for p in mask.resolve().parents[:3] if (p / "classes.csv").is_file()),
        None,
    )
    listed = (
        infer_classes([only_ids(read_raw(mask), mask)]) if found is None else read_classes(found)
    )
    if targets:
        listed = listed.with_targets(targets)
    labels = read_mask(mask, listed)
    if labels.shape != pixels.shape[:2]:
        raise FrugalsegError(
            f"{mask} is {labels.shape[0]}x{labels.shape[1]}, its image is "
            f"{pixels.shape[0]}x{pixels.shape[1]} pixels: they must be of one size."
        )
    if size[0] > labels.shape[0] or size[1] > labels.shape[1]:
        raise FrugalsegError(
            f"{size[0]}x{size[1]} points are more than the pixels of {mask} "
            f"({labels.shape[0]}x{labels.shape[1]}): give a smaller --size."
        )
    tensor = torch.from_numpy(labels)[None]
    view = default_view(size, labels.shape[1] / labels.shape[0])
    chosen = listed.targets or None
    density = boundary_density(tensor, view, chosen)
    samplings = {"equal density": equal_density_sampling(density, size)[0]}
    for smoothness in (0.0, 0.01, 0.12, 1.0, 10.0):
        phi = boundary_sampling(tensor, size, smoothness, targets=chosen)
        samplings[f"energy, smoothness {smoothness:g}"] = phi[0]
    samplings["uniform (smoothness without end)"] = uniform_sampling(size)[0]
    return labels, listed.colours, {name: phi.numpy() for name, phi in samplings.items()}
