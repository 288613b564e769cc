"""Fine-tuning through the real command line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import frugalseg
from tiny import CLUSTERS, Spoil, cli, refused, remove, replace, write

FEW = (
    "--labels",
    "folders",
    "--steps",
    "6",
    "--batch-size",
    "8",
    "--hidden",
    "8",
    "--learning-rate",
    "0.01",
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tuned(grouped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned run. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "tuned"
    answer = cli("finetune", grouped, "--run", run, *FEW)
    assert answer.code == 0, answer.err
    assert "| tuned | vgg-iic | network | False | 29 | 6 | 1 | 7 |" in answer.out
    return run


def test_a_run_is_whole_and_scored_on_images_it_did_not_learn_from(tuned: Path) -> None:
    there = {path.name for path in tuned.iterdir()}
    assert there >= {"config.yaml", "state.json", "weights.safetensors", "metrics.jsonl"}
    assert there >= {"labels.csv", "predictions.csv", "results", "environment.json"}
    assert "checkpoints" not in there
    used = rows(tuned / "labels.csv")
    learned = [row for row in used if row["used"] == "training"]
    scored = [row for row in used if row["used"] == "score"]
    assert len(learned) + len(scored) == 36
    assert {row["label"] for row in scored} == {"0", "1", "2"}
    result = json.loads((tuned / "results" / "digits-held-out.json").read_text())
    assert result["what"]["learned"] == len(learned)
    assert result["scores"]["images"] == len(scored) == 7
    told = {row["file"]: row for row in rows(tuned / "predictions.csv")}
    assert len(told) == 36
    right = [told[row["file"]]["class"] == row["label"] for row in scored]
    assert result["scores"]["accuracy"] == pytest.approx(np.mean(right))
    for row in told.values():
        assert row["class"] != row["second_choice"]
        assert float(row["confidence"]) >= float(row["second_confidence"])


def test_the_run_needs_nothing_but_itself(tuned: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tuned, tmp_path / "moved")
    replace("config.yaml", "clustering: ", "clustering: gone")(run)
    answer = cli("predict", run, digits / "1", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    old = {row["file"]: row for row in rows(tuned / "predictions.csv")}
    new = rows(tmp_path / "out" / "predictions.csv")
    assert len(new) == len(list((digits / "1").iterdir()))
    for row in new:
        assert row["class"] == old[f"1/{row['file']}"]["class"]


def test_evaluate_scores_what_was_put_aside_or_other_images(
    tuned: Path, digits: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tuned, tmp_path / "run")
    first = json.loads((run / "results" / "digits-held-out.json").read_text())["scores"]
    (run / "results" / "digits-held-out.json").unlink()
    answer = cli("evaluate", run)
    assert answer.code == 0, answer.err
    assert json.loads((run / "results" / "digits-held-out.json").read_text())["scores"] == first
    other = shutil.copytree(digits, tmp_path / "other")
    shutil.rmtree(other / "0")  # its classes are numbered otherwise
    answer = cli("evaluate", run, "--data", other, "--labels", "folders")
    assert answer.code == 0, answer.err
    told = {row["file"]: row["class"] for row in rows(run / "predictions.csv")}
    expected = [kind == name[0] for name, kind in told.items() if name[0] != "0"]
    found = json.loads((run / "results" / "other-all.json").read_text())["scores"]
    assert found["accuracy"] == pytest.approx(np.mean(expected))
    assert found["classes"]["0"] is None


def test_runs_are_compared_on_a_page(tuned: Path, grouped: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    words = ("--labels", "folders", "--method", "probe")
    assert cli("finetune", grouped, "--run", other, *words).code == 0
    kept = json.loads((other / "results" / "digits-held-out.json").read_text())
    (other / "results" / "digits-held-out.json").unlink()
    answer = cli("compare", tuned, other, "--out", tmp_path / "page.html")
    assert answer.code == 0, answer.err
    again = json.loads((other / "results" / "digits-held-out.json").read_text())
    assert again["scores"] == kept["scores"]
    page = (tmp_path / "page.html").read_text()
    for words in ("Fine-tuned runs on digits, held out", "probe", "network", "other", "tuned"):
        assert words in page


def test_a_few_labels_a_share_of_them_and_no_score(
    grouped: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path.relative_to(digits).as_posix() for path in sorted(digits.glob("*/*.png"))]
    few = [name for name in files if name[0] in "01"][::3]
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n" + "".join(f"{name},is {name[0]}\n" for name in few))
    run = tmp_path / "run"
    words = (*FEW[2:], "--labels", table, "--hold-out", "0", "--untrained", "--crops", "5")
    answer = cli("finetune", grouped, "--run", run, *words)
    assert answer.code == 0, answer.err
    assert not (run / "results").exists()
    assert len(rows(run / "predictions.csv")) == 36
    assert {row["used"] for row in rows(run / "labels.csv")} == {"training"}
    refused(cli("evaluate", run), "learned from all labelled images")
    monkeypatch.chdir(shutil.copytree(grouped, tmp_path / "half"))
    answer = cli("finetune", ".", *FEW, "--share", "0.5")
    assert answer.code == 0, answer.err
    uses = [row["used"] for row in rows(tmp_path / "half-finetuned-0" / "labels.csv")]
    assert uses.count("training") in (14, 15)
    assert uses.count("score") == 7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--steps", "0"), ("steps=0",)),
        (("--share", "0"), ("share=0.0",)),
        (("--hold-out", "1"), ("hold_out=1.0",)),
        (("--hold-out", "0.01"), ("none is left to score on", "--hold-out 0")),
        (("--crops", "3"), ("crops=3",)),
        (("--batch-size", "1"), ("batch_size=1",)),
        (("--augment", "digit"), ("did you mean 'digits'",)),
        (("--augment", "cifar"), ("2 channels", "takes 1")),
        (("--augment-options.spin", "3"), ("no setting 'spin'",)),
        (("--augment-options.hue", "3"), ("hue",)),
        (("--split", "holiday"), ("no split 'holiday'",)),
        (("--test", "holiday"), ("no split 'holiday'",)),
        (("--labels", "nowhere.csv"), ("nowhere.csv cannot be read",)),
        (("--stepz", "3"), ("Did you mean --steps",)),
    ],
)
def test_options_that_are_refused(
    words: tuple[str, ...], says: tuple[str, ...], grouped: Path, tmp_path: Path
) -> None:
    known = dict(zip(FEW[::2], FEW[1::2], strict=True)) | dict([words])
    run = tmp_path / "runs" / "one"
    options = [word for pair in known.items() for word in pair]
    refused(cli("finetune", grouped, "--run", run, *options), *says)
    assert not run.parent.exists()


def test_labels_that_do_not_suffice(
    grouped: Path, digits: Path, tuned: Path, trained: dict[str, Path], tmp_path: Path
) -> None:
    run, table = tmp_path / "runs" / "one", tmp_path / "labels.csv"
    table.write_text("file,label\n0/0000.png,a\n1/0001.png,a\n")
    words = ("--run", run, *FEW[2:], "--labels")
    refused(
        cli("finetune", grouped, *words, table),
        "all labels are 'a'",
        "label images of another class too",
    )
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in digits.glob("*/*.png"):
        shutil.copy(path, flat / f"{path.parent.name}_{path.name}")
    refused(cli("finetune", grouped, *words[:-1], "--data", flat), "has no labels to learn from")
    refused(
        cli("finetune", trained["uniform"], *words, table), "a run of 'segment', not of 'cluster'"
    )
    refused(cli("finetune", tmp_path / "none", *words, table), "there is no such run")
    refused(
        cli("finetune", grouped, "--run", grouped, *FEW), "a run of 'cluster', not of 'finetune'"
    )
    refused(cli("suggest", tuned), "there is nothing to suggest")
    refused(cli("evaluate", tuned, "--data", flat), "has no labels to score against")
    refused(cli("evaluate", tuned, "--split", "holiday"), "'holiday'")
    table.write_text("file,label\n0/0000.png,zebra\n1/0001.png,1\n")
    refused(cli("evaluate", tuned, "--labels", table), "'zebra'", "it knows 0, 1, 2")
    assert not run.parent.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such run"),
        (remove("state.json"), "is not finished"),
        (remove("weights.safetensors"), "is not finished"),
        (write("state.json", "{"), "state.json"),
        (write("weights.safetensors", "no tensors"), "is not as the training wrote it"),
        (replace("config.yaml", "steps:", "stepz:"), "stepz"),
        (replace("config.yaml", "seed: 0", "seed: 1"), "(seed: 0 then, 1 now)"),
        (replace("state.json", '"hidden": 8', '"hidden": 9'), "state.json has been changed"),
    ],
)
def test_spoiled_runs(spoil: Spoil, says: str, tuned: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tuned, tmp_path / "run")
    spoil(run)
    refused(cli("predict", run, digits, "--out", tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["probe", "groups", "both"])
def test_a_classifier_on_features(method: str, grouped: Path, digits: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--labels", "folders", "--method", method, "--hold-out", "0.5")
    answer = cli("finetune", grouped, "--run", run, *words)
    assert answer.code == 0, answer.err
    assert f"Learned by '{method}' (not cross-validated), from 18 labels." in answer.err
    assert f"| run | vgg-iic | {method} | False | 18 | 0 |" in answer.out
    result = json.loads((run / "results" / "digits-held-out.json").read_text())
    told = {row["file"]: row["class"] for row in rows(run / "predictions.csv")}
    scored = [row for row in rows(run / "labels.csv") if row["used"] == "score"]
    right = [told[row["file"]] == row["label"] for row in scored]
    assert result["scores"]["accuracy"] == pytest.approx(np.mean(right))
    found = frugalseg.load(run).predict(digits / scored[0]["file"])
    assert result["scores"]["class_names"][found.labels[0]] == told[scored[0]["file"]]
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_method_is_chosen_where_the_backbone_was_not_trained(
    digits: Path, tmp_path: Path
) -> None:
    frozen, run = tmp_path / "frozen", tmp_path / "run"
    words = ("--frozen", "--components", "4", *CLUSTERS)
    assert cli("cluster", digits, "--run", frozen, *words).code == 0
    answer = cli("finetune", frozen, "--run", run, "--labels", "folders")
    assert answer.code == 0, answer.err
    assert "in cross-validation over images: probe " in answer.err
    state = json.loads((run / "state.json").read_text())
    assert state["method"] in state["cross_validation"]
    lone = tmp_path / "lone.csv"  # one image of each class
    names = ("0/0000.png", "1/0001.png", "2/0002.png")
    lone.write_text("file,label\n" + "".join(f"{n},{n[0]}\n" for n in names))
    words = ("--labels", lone, "--hold-out", "0")
    answer = cli("finetune", frozen, "--run", tmp_path / "few", *words)
    assert answer.code == 0, answer.err
    assert "Learned by 'both' (not cross-validated), from 3 labels" in answer.err
    answer = cli("finetune", frozen, "--run", tmp_path / "network", *FEW, "--untrained")
    assert answer.code == 0, answer.err
    assert "| network | vgg-iic | network | True |" in answer.out
