"""Find images and their masks in a folder of one of the known layouts."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layouts.folders import Folders, find_folders, split_names
from frugalseg.data.layouts.label_images import without_labels
from frugalseg.data.layouts.listing import (
    files_below,
    normal_name,
    others_sentence,
    places_of,
    require_folder,
    stem_below,
)
from frugalseg.data.layouts.pairing import pair_names
from frugalseg.data.layouts.samples import NO_MASK, FolderContents, Problem, Sample, raise_problems
from frugalseg.data.layouts.splits import SPLITS, read_splits
from frugalseg.data.masks import MASK_SUFFIXES
from frugalseg.errors import FrugalsegError

LAYOUTS = (
    "train/ beside trainannot/, train/images/ with train/masks/, images/train/ with masks/train/, "
    "or images/ with masks/ (and a split.csv if there is a split). Otherwise name the folders of "
    "both: --images DIR --masks DIR"
)
POLYGONS = (
    "If these are polygons, turn them into label images first: CVAT and Roboflow export "
    "segmentation masks, LabelMe has labelme2voc.py, COCO has annToMask in pycocotools"
)

_MASK_LIKE = MASK_SUFFIXES | IMAGE_SUFFIXES  # reading a JPEG mask says why it cannot be used
_NO_SAMPLES = ("unlabelled", "infrared")
_NO_POLYGONS = ("prepared.json", "meta.json")
_TEXT = (".json", ".xml", ".txt")


def find_samples(
    root: Path, images: Path | str | None = None, masks: Path | str | None = None
) -> FolderContents:
    """Find the images and masks of a data folder.

    Args:
        root: the folder, in one of the layouts.
        images, masks: the folders of images and masks, below `root` or elsewhere, if it has no
            layout; `root` itself for the one that is not given.

    Returns:
        Pairs by split, and images and masks without a partner.

    Raises:
        FrugalsegError: the folder is missing, unreadable, not a folder, of no known layout, or
            empty.
    """
    require_folder(root)
    contents = _find_pairs(root, images, masks)
    if contents is None:
        text = f"{root}: it holds no images with masks. The folder must hold {LAYOUTS}."
        raise FrugalsegError(text + _polygons(root))
    return contents


def find_images(root: Path) -> FolderContents:
    """Find the images of any folder, with masks of all, some or none of them.

    Args:
        root: a folder in one of the layouts, one with images/ and a split.csv, or one of images
            alone, flat or nested. Label images among them are left out.

    Raises:
        FrugalsegError: as :func:`find_samples` does; without masks, also if split.csv does not
            fit, if there is no image, or if a folder beside ``images/`` looks like its masks.
    """
    require_folder(root)
    contents = _find_pairs(root)
    if contents is not None:
        return contents
    contents = FolderContents(has_layout=False)
    if not ((root / "images").is_dir() and (root / "split.csv").is_file()):
        files = _plain_files(root, contents.notes)
        contents.lone[""] = [Sample(f.relative_to(root).as_posix(), f, None) for f in files]
        return contents
    contents.has_layout = True
    _pair(root, root / "images", root / "masks", "", contents)
    _divide(root, contents)
    raise_problems(root, [problem for problem in contents.problems if problem.kind != NO_MASK])
    return contents


def all_samples(root: Path, contents: FolderContents, masks: bool = False) -> list[Sample]:
    """All images of a folder, with or without a mask, sorted by path.

    Args:
        root: the folder.
        contents: what it holds; if it holds masks, a note says that they are not used.
        masks: whether they are.
    """
    if contents.paired and not masks:
        contents.notes.insert(0, f"{root} holds masks too: only the images are taken.")
    samples = [*contents.paired, *contents.unlisted]
    samples += [sample for part in contents.lone.values() for sample in part]
    if contents.has_layout and (root / "unlabelled").is_dir():
        files = files_below(root / "unlabelled", IMAGE_SUFFIXES)
        samples += [Sample(path.with_suffix("").name, path, None) for path in files]
    return sorted(samples, key=lambda sample: sample.image)


def _plain_files(root: Path, notes: list[str]) -> list[Path]:
    """The images of a folder in no layout: all in it and below it, except infrared bands."""
    inner, others = root / "images", Counter[str]()
    if inner.is_dir():
        beside = [f for f in root.iterdir() if f.is_dir() and f != inner and f.name[0] != "."]
        if root / "infrared" in beside:
            return files_below(inner, IMAGE_SUFFIXES)
        names = _by_stem(inner, IMAGE_SUFFIXES).keys()
        for folder in beside:
            if (stems := _by_stem(folder, MASK_SUFFIXES).keys()) and stems <= names:
                raise FrugalsegError(
                    f"{folder} holds files with the names of those in {inner}: if they are masks, "
                    f"call it {root / 'masks'}; if not, give the folder {inner}."
                )
    files, labels = without_labels(files_below(root, IMAGE_SUFFIXES, others))
    notes += others_sentence(root, others)
    if labels:
        notes.append(
            f"{root}: {len(labels)} label images are left out, such as "
            f"{labels[0].relative_to(root)}: images of the same names lie beside them."
        )
    if not files:
        raise FrugalsegError(" ".join([f"{root}: there is no image in it or below it.", *notes]))
    return files


def match_masks(
    root: Path, samples: Sequence[Sample], folder: Path, notes: list[str] | None = None
) -> list[Sample]:
    """Give samples the masks that another folder holds under their paths.

    Args:
        root: the folder of the images.
        samples: images below it.
        folder: holds masks under the paths of the images below `root`, with another suffix or
            with one more (``a.jpg.png``), or under the names of the samples; or under names that
            differ from these by constant parts.
        notes: gets a sentence if they do.

    Returns:
        The samples, with mask None if there is none.
    """
    masks = _by_stem(folder, _MASK_LIKE) if folder.is_dir() else {}
    matched = []
    for sample in samples:
        keys = (normal_name(sample.image.relative_to(root).as_posix()), _key(root, sample))
        mask = next((masks[key] for key in (*keys, sample.name) if key in masks), None)
        matched.append(replace(sample, mask=mask))
    if any(sample.mask for sample in matched):
        return matched
    pairing = pair_names([_key(root, sample) for sample in samples], masks.keys())
    if pairing.example is not None and notes is not None:
        one, other = pairing.example
        notes.append(_constant_part(folder, one, masks[other].name) + ".")
    return [replace(s, mask=masks.get(pairing.masks.get(_key(root, s), ""))) for s in samples]


def _key(root: Path, sample: Sample) -> str:
    return stem_below(sample.image, root)


def _find_pairs(
    root: Path, images: Path | str | None = None, masks: Path | str | None = None
) -> FolderContents | None:
    """The samples of a folder in one of the layouts; None if it has none of these layouts."""
    folders = find_folders(root, images, masks)
    if folders is None:
        return None
    contents, others, used = FolderContents(), Counter[str](), list[Path]()
    for split in ("", *SPLITS):
        pair = folders.get(split)
        if pair is not None and pair[0].is_dir() and pair[1].is_dir():
            _pair(root, *pair, split, contents, others)
            used += pair
    _refuse_lone_folders(folders)
    if "" in folders:
        _divide(root, contents)
    if not any(contents.splits.values()) and not contents.problems:
        raise FrugalsegError(f"{root}: its folders of images and masks are empty.")
    contents.notes += others_sentence(root, others)
    if images is None and masks is None:
        contents.notes += _rest(root, used)
    return contents


def _refuse_lone_folders(folders: Folders) -> None:
    """Refuse a split of images or masks only; but a test split without masks is left out."""
    for split, (images, masks) in folders.items():
        if images.is_dir() != masks.is_dir() and not (split == "test" and images.is_dir()):
            lone, missing = (images, masks) if images.is_dir() else (masks, images)
            raise FrugalsegError(
                f"{lone} has no partner: {missing} is missing. Add it, or move {lone.name} away."
            )


def _rest(root: Path, used: Sequence[Path]) -> list[str]:
    """A sentence on the images of a data folder that lie elsewhere, if there are any."""
    folders_of_samples = [*used, *(root / name for name in _NO_SAMPLES)]
    inside = tuple(f"{folder}{os.sep}" for folder in folders_of_samples)
    folders = Counter(
        "/".join(path.relative_to(root).parts[:-1][:2]) or "the folder itself"
        for path in files_below(root, IMAGE_SUFFIXES)
        if not str(path).startswith(inside)
    )
    if not folders:
        return []
    named = ", ".join(f"{folder} ({count})" for folder, count in folders.most_common(5))
    more = f" and {len(folders) - 5} more folders" if len(folders) > 5 else ""
    return [
        f"{root}: image files outside the folders of images and masks are left out: {named}{more}. "
        f"Splits are called {', '.join(SPLITS)}."
    ]


def _polygons(folder: Path, suffixes: Sequence[str] = (".json", ".xml")) -> str:
    """What to do with the polygons that a folder holds in place of masks, if it does."""
    files = [f for f in files_below(folder, frozenset(suffixes)) if f.name not in _NO_POLYGONS]
    return f" It holds {files[0].relative_to(folder)}. {POLYGONS}." if files else ""


def _by_stem(
    folder: Path,
    suffixes: frozenset[str],
    problems: list[Problem] | None = None,
    others: Counter[str] | None = None,
) -> dict[str, Path]:
    """Files by their path below `folder` without the suffix; equal ones are problems."""
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes, others):
        name = stem_below(path, folder)
        if name in files and problems is not None:
            text = f"{files[name].name} has the same stem: rename one of them"
            problems.append(Problem("files with the same stem", str(path), text))
        else:
            files[name] = path
    return files


def _pair(
    root: Path,
    images: Path,
    masks: Path,
    split: str,
    contents: FolderContents,
    others: Counter[str] | None = None,
) -> None:
    """Join images and masks of a split by their names."""
    problems, notes = contents.problems, contents.notes
    image_files = _by_stem(images, IMAGE_SUFFIXES, problems, others)
    if images == masks:
        names = split_names(image_files)
        image_files, mask_files = ({name: image_files[name] for name in part} for part in names)
    else:
        mask_files = _by_stem(masks, _MASK_LIKE, problems, others) if masks.is_dir() else {}
    pairing = pair_names(image_files.keys(), mask_files.keys())
    pairs = pairing.masks
    lone = sorted(image_files.keys() - pairs.keys())
    contents.lone[split] = [Sample(name, image_files[name], None) for name in lone]
    contents.splits[split] = [
        Sample(name, image_files[name], mask_files[pairs[name]]) for name in sorted(pairs)
    ]
    if image_files and mask_files and not pairs:
        image, mask = next(iter(image_files.values())), next(iter(mask_files.values()))
        text = f"no mask has the name of an image: masks are called like {mask.name}, images like "
        text += f"{image.name}. Give both the same names, or names that differ by a constant part"
        if pairing.rivals:
            text = f"each image has several masks, such as {' and '.join(pairing.rivals[:3])}"
            text += ". Put those of one kind into a folder of their own"
        problems.append(Problem("names of masks that do not fit", str(masks), text))
        return
    for name in lone:
        text = f"there is no mask {_below(root, masks / name)}.png"
        problems.append(Problem(NO_MASK, str(image_files[name]), text))
    if lone and not mask_files and masks.is_dir() and (polygons := _polygons(masks, _TEXT)):
        notes.append(f"{masks} holds no label images.{polygons}")
    before, after = pairing.affixes
    other_kinds = []
    for name in sorted(mask_files.keys() - set(pairs.values())):
        last = name.rpartition("/")[2]
        if not (last.startswith(before) and last.endswith(after)):
            other_kinds.append(mask_files[name].name)
            continue
        text = f"there is no image of this name in {_below(root, images)}"
        problems.append(Problem("masks without an image", str(mask_files[name]), text))
    if pairing.example is not None:
        one, other = image_files[pairing.example[0]].name, mask_files[pairing.example[1]].name
        text = _constant_part(masks, one, other)
        if other_kinds:
            text += f"; {len(other_kinds)} others, like {other_kinds[0]}, are left out"
        notes.append(f"{text}.")


def _constant_part(masks: Path, image: str, mask: str) -> str:
    return f"{masks}: masks are paired by a constant part of their names, {image} with {mask}"


def _below(root: Path, path: Path) -> Path:
    """A path below the data folder; as it is if it lies elsewhere."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def _divide(root: Path, contents: FolderContents) -> None:
    """Divide the samples as split.csv or lists of names say, if there are any.

    Every image with a mask must be in split.csv; lists may leave out some.
    """
    files, entries = read_splits(root)
    if not files:
        return
    problems = contents.problems
    samples = [*contents.splits[""], *contents.lone[""]]
    places = places_of([f"{sample.name}{sample.image.suffix}" for sample in samples])
    broken = {normal_name(Path(p.file).stem) for p in problems}
    seen: dict[int, tuple[str, Path, int]] = {}
    for path, line, name, split in entries:
        forms = (name, name.split()[0])  # a list may name the mask beside the image
        short = (*forms, *(Path(form).name for form in forms), *(Path(form).stem for form in forms))
        place = next((places[each] for each in short if each in places), None)
        if place is None:
            if not broken.intersection(short):
                text = f"line {line}: there is no image {name}"
                kind = f"lines of {path.name} without an image"
                problems.append(Problem(kind, str(path), text))
        elif place in seen:
            _, other, at = seen[place]
            raise FrugalsegError(
                f"{path}, line {line}: {name} is listed twice (also in {other.name}, line {at})."
            )
        else:
            seen[place] = split, path, line
    split_of = {samples[place].image: split for place, (split, _, _) in seen.items()}
    table = files[0].suffix == ".csv"
    rest = [sample for sample in contents.splits[""] if sample.image not in split_of]
    for sample in rest if table else ():
        text = f"add a line to {files[0].name}, or remove the image and its mask"
        problems.append(Problem(f"images not in {files[0].name}", str(sample.image), text))
    if not table:
        contents.unlisted = [sample for sample in samples if sample.image not in split_of]
        excused = {str(sample.image) for sample in contents.unlisted}
        contents.problems = [p for p in problems if p.file not in excused]
        counts = Counter(path.name for _, path, _ in seen.values())
        listed = ", ".join(f"{path.name} ({counts[path.name]})" for path in files)
        more = f"; images in none of them: {len(excused)}" if excused else ""
        contents.notes.append(f"{root}: the splits are those of {listed}{more}.")
    for by_split in (contents.splits, contents.lone):
        undivided = by_split.pop("")
        for split in ("", *SPLITS) if table else SPLITS:
            by_split[split] = [x for x in undivided if split_of.get(x.image, "") == split]
    contents.splits = {split: part for split, part in contents.splits.items() if split and part}
