"""One small comparison, made once and then looked at from all sides; runs are short but real."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from model.comparison import text
from model.comparison.compare import CompareJob, Listener, compare
from model.comparison.estimate import spoken
from model.comparison.plan import Budget
from model.errors import BadDataset, BadOptions

BUDGET = Budget(trials=2, seeds=1, limit_s=0.0)


class Told:
    """A listener that remembers, and that can pull the plug after so many runs."""

    def __init__(self, killed_after=None):
        self.estimates, self.done, self.killed_after = [], [], killed_after
        self.listener = Listener(lambda done, of: None, self.estimates.append, self.running)

    def running(self, done, of):
        self.done.append((done, of))
        if self.killed_after is not None and done >= self.killed_after:
            raise KeyboardInterrupt


def asked(folder, out, **changed):
    given = {"systems": "cca,yuyin", "tables": ("table3", "table2"), "budget": BUDGET, **changed}
    return CompareJob((folder,), out, **given)


def without_clock(report):
    value = report.as_dict()
    for key in ("made", "runs_s"):
        del value["facts"][key]
    for row in value["rows"].values():
        if row["course"]:
            del row["course"]["train_s"]
    return value


@pytest.fixture(scope="module")
def made(make_pairs, tmp_path_factory):
    """The folder of the data set, the finished comparison's, what was told, and its report."""
    folder = make_pairs(tmp_path_factory.mktemp("data") / "pairs")
    told = Told()
    job = asked(folder, tmp_path_factory.mktemp("comparison"))
    return job, told, compare(job, told.listener)


def records(out):
    return [json.loads(path.read_text()) for path in sorted((out / "rows").glob("*.json"))]


def test_every_row_and_seed_was_trained_and_no_more(made):
    job, told, report = made
    runs = records(job.out)
    # YuYin: 2 trials, of which the winner is the tuned row; literal, tuned, wo_E, wo_T, pure; CCA twice.
    assert len(runs) == 2 + 5 - 1 + 2
    assert told.done[-1][0] == told.done[-1][1]
    assert [done for done, _ in told.done] == sorted(done for done, _ in told.done)
    assert {run["system"] for run in runs} == {"cca", "yuyin"}
    assert all(row.figures for row in report.rows.values())


def test_ablations_reuse_what_won_and_the_literal_row_does_not(made):
    job, _, report = made
    runs = records(job.out)
    tuned = {
        name: report.rows[name].course.settings for name in report.rows if report.rows[name].course.settings
    }
    assert set(tuned) == {"cca", "yuyin", "yuyin-wo_E", "yuyin-wo_T", "yuyin-pure"}
    assert len({tuned[name] for name in tuned if name != "cca"}) == 1
    trials = [
        run
        for run in runs
        if run["preset"]["training"]["keep"] == "r10"
        and run["preset"]["training"]["seed"] == 0
        and run["preset"]["system"].get("emotion")
        and run["preset"]["system"].get("text")
    ]
    trials.sort(key=lambda run: run["preset"]["training"]["learning_rate"])  # trial 1 has the lower
    best = max(trials, key=lambda run: run["evaluation_r10"])  # the first of equals, as it is for the rows
    assert len(trials) == 2
    rate = best["preset"]["training"]["learning_rate"]
    assert f"lr {rate:g}," in tuned["yuyin"][0]
    literal = [
        run for run in runs if run["preset"]["training"]["keep"] == "loss" and run["system"] == "yuyin"
    ]
    assert {run["preset"]["training"]["learning_rate"] for run in literal} == {1e-4}
    assert {run["preset"]["training"]["batch_size"] for run in literal} == {1024}


def test_figures_are_those_of_the_files(made):
    """R@10, its mean over seeds, and differences to YuYin, from the files' arrays in plain loops."""
    job, _, report = made
    by_row = {}
    for run in records(job.out):
        if run["system"] == "yuyin" and run["preset"]["training"]["keep"] == "loss":
            name = "yuyin-literal"
        elif run["system"] == "cca":
            name = "cca" if run["grid"] else "cca-plain"
        else:
            continue
        with np.load(job.out / "rows" / f"{_id_of(job.out, run)}.npz") as arrays:
            better = arrays["strict V->M better"]
        by_row.setdefault(name, []).append([1.0 if place < 10 else 0.0 for place in better.tolist()])
    assert {name: len(seeds) for name, seeds in by_row.items()} == {
        "yuyin-literal": 1,
        "cca": 1,
        "cca-plain": 1,
    }
    for name, seeds in by_row.items():
        mean = sum(sum(hits) / len(hits) for hits in seeds) / len(seeds)
        found = report.rows[name].figures["strict"]["V->M"]["R@10"]
        assert found.value == pytest.approx(mean)
        assert found.low <= mean <= found.high
    table = next(each for each in report.tables if each.name == "table2")
    own = report.rows["yuyin"].figures["strict"]["V->M"]["R@10"].value
    for name in ("cca", "yuyin-literal"):
        value = report.rows[name].figures["strict"]["V->M"]["R@10"].value
        assert table.beside["V->M"][name].difference.value == pytest.approx(value - own)
    assert report.chance["strict"]["V->M"]["R@10"].value == pytest.approx(10 / 25)
    ratio = next(each for each in report.contests if (each.ours, each.theirs) == ("yuyin", "cca"))
    cca = report.rows["cca"].figures["strict"]["V->M"]["R@10"].value
    assert ratio.ratio == pytest.approx(own / cca)


def _id_of(out, run):
    (path,) = (path for path in (out / "rows").glob("*.json") if json.loads(path.read_text()) == run)
    return path.stem


def test_a_comparison_that_was_killed_goes_on_and_ends_alike(made, tmp_path):
    job = replace(
        made[0],
        systems="cca,baseline_connect",
        tables=("table2",),
        budget=replace(BUDGET, seeds=2),
        out=tmp_path / "whole",
    )
    report = compare(job, Told().listener)
    assert len(records(job.out)) == 2 + 2 + 2 - 1
    copy = replace(job, out=tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        compare(copy, Told(killed_after=3).listener)
    kept = {path.name: path.stat().st_mtime_ns for path in (copy.out / "rows").glob("*.json")}
    assert len(kept) == 3
    assert not (copy.out / "compare.json").exists()
    cut_off = next((copy.out / "rows").glob("*.npz")).with_name(".part-cut-off")
    cut_off.write_bytes(b"half a file")
    told = Told()
    again = compare(copy, told.listener)
    assert told.estimates[0].runs == 2
    assert told.done[-1] == (5, 5)
    for name, written in kept.items():
        assert (copy.out / "rows" / name).stat().st_mtime_ns == written
    assert without_clock(again) == without_clock(report)


def test_a_finished_comparison_trains_nothing(made, tmp_path):
    job, _, report = made
    shutil.copytree(job.out, tmp_path / "out")
    told = Told()
    again = compare(replace(job, out=tmp_path / "out"), told.listener)
    assert told.estimates[0].runs == 0
    assert told.estimates[0].seconds == 0
    assert without_clock(again) == without_clock(report)


def test_the_estimate_is_told_first_and_is_of_all_runs(made):
    job, told, _ = made
    assert len(told.estimates) == 1
    found = told.estimates[0]
    assert found.runs == len(records(job.out))
    assert 0 < found.seconds < 600
    assert found.at_most_s == np.inf


def test_compare_json_says_everything(made):
    job, _, report = made
    value = json.loads((job.out / "compare.json").read_text())
    assert value == json.loads(json.dumps(report.as_dict()))
    assert value["schema"] == 1
    assert {table["name"] for table in value["tables"]} == {"table2", "table3"}
    strict = value["rows"]["yuyin"]["figures"]["strict"]
    assert set(strict) == {"V->M", "M->V"}
    assert {"R@1", "R@10", "R@25", "MRR", "mean rank"} <= set(strict["V->M"])
    assert set(value["rows"]["yuyin"]["figures"]) >= {"strict", "shared", "dedup", "yuyin_batched", "catalog"}
    assert value["facts"]["budget"] == {"trials": 2, "seeds": 1, "limit_s": 0.0, "precision": "float32"}
    assert value["data"][0]["pairs"] == {"train": 70, "evaluation": 15, "test": 25}


class Seen(HTMLParser):
    """Which elements a page has, and what they load."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.ids, self.said = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.loads += [value for key, value in attrs if key in ("src", "href") and not value.startswith("#")]
        self.ids += [given["id"]] if "id" in given else []

    def handle_data(self, data):
        self.said.append(data)


def test_the_page_is_one_file_with_every_table_and_picture(made):
    job, _, report = made
    seen = Seen()
    page = (job.out / "report.html").read_text()
    seen.feed(page)
    assert (seen.loads, "script" in seen.tags) == ([], False)
    assert not re.search(r"url\((?!#)", page)
    assert len(seen.ids) == len(set(seen.ids))
    said = " ".join(seen.said)
    for row in report.rows.values():
        assert row.label in said
    for name in ("table2", "table3", "protocols", "curves", "inside-yuyin", "inside-yuyin-wo_E"):
        assert f'id="{name}"' in page
    for name in (
        "forest-table3-music",
        "curves-video",
        "cosines-yuyin-before",
        "gates-yuyin",
        "map-yuyin-space",
    ):
        assert f'id="{name}-title"' in page
    assert "Protocol strict" in said


def test_tables_name_protocol_pool_and_reference(made):
    _, _, report = made
    table = next(each for each in report.tables if each.name == "table3")
    assert "strict" in text.caption(report, table)
    assert "all 25 test clips" in text.caption(report, table)
    rows = text.table_rows(report, table)
    assert {len(row) for row in rows} == {len(text.header(report))}
    assert [row[0] for row in rows] == ["YuYin", "YuYin w/o E", "YuYin w/o T", "YuYin pure", "guessing"]
    own = dict(zip(text.header(report), rows[0], strict=True))
    assert own["beside V->M"] == ""
    assert rows[-1][1] == ".400"


def test_rows_whose_inputs_are_missing_say_na_and_why(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "bare", emotion=False, text=False, categories=False)
    job = asked(
        folder,
        tmp_path / "out",
        systems="cca,cmvae,yuyin",
        tables=("table3", "table2"),
        budget=Budget(1, 1, 0.01),
    )
    report = compare(job, Told().listener)
    assert report.rows["yuyin"].label == "YuYin (no E, T, C)"
    for name in ("cmvae", "yuyin-wo_E", "yuyin-wo_T"):
        assert report.rows[name].figures == {}
        assert report.rows[name].reason
    table = next(each for each in report.tables if each.name == "table2")
    rows = {row[0]: row for row in text.table_rows(report, table)}
    assert rows["CMVAE (reads the query's tag)"][1] == "n/a"
    assert any(
        "n/a (CMVAE reads text, which this data set does not have)" in x for x in text.notes(report, table)
    )
    assert report.rows["yuyin"].course.stopped.startswith("stopped at 0.01 s: 1 of 1")
    assert any("stopped at 0.01 s" in line for line in text.notes(report, table))
    assert "n/a (CMVAE reads text" in (job.out / "report.html").read_text()


def test_splits_of_the_same_pairs_are_one_table(make_pairs, tmp_path):
    folders = [make_pairs(tmp_path / f"{seed}", split_seed=seed) for seed in range(2)]
    job = CompareJob(
        tuple(folders), tmp_path / "both", systems="cca", tables=("table2",), budget=Budget(1, 1, 0.0)
    )
    both = compare(job, Told().listener)
    alone = [
        compare(replace(job, datasets=(folder,), out=tmp_path / f"one{i}"), Told().listener)
        for i, folder in enumerate(folders)
    ]
    for name in ("cca", "cca-plain"):
        each = [one.rows[name].figures["strict"]["M->V"]["R@10"].value for one in alone]
        assert both.rows[name].figures["strict"]["M->V"]["R@10"].value == pytest.approx(np.mean(each))
    assert both.pool == (25, 25)


def test_the_oracle_of_made_pairs_is_a_row_and_a_measure(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "pairs")
    manifest = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**manifest, "kind": "adsynth"}))
    knows, tells = np.eye(25), np.random.default_rng(0).random((25, 25))
    np.savez(folder / "oracle.npz", pmi=knows, reference=tells, posterior=tells)
    job = asked(folder, tmp_path / "out", systems="cca", tables=("table2",))
    report = compare(job, Told().listener)
    assert list(report.oracles) == ["PMI oracle", "feature reference"]
    assert report.oracles["PMI oracle"]["strict"]["M->V"]["R@1"].value == 1.0
    own = [sum(1 for other in row if other > row[i]) < 10 for i, row in enumerate(tells)]
    assert report.oracles["feature reference"]["strict"]["V->M"]["R@10"].value == pytest.approx(np.mean(own))
    cca = report.rows["cca"]
    assert cca.oracle_share["V->M"] == pytest.approx(cca.figures["strict"]["V->M"]["R@10"].value / 1.0)
    rows = {row[0]: row for row in text.table_rows(report, report.tables[0])}
    assert rows["PMI oracle"][1] == "1.000"
    share = dict(zip(text.header(report), rows["CCA, tuned"], strict=True))["of oracle V->M"]
    assert share == f"{100 * cca.oracle_share['V->M']:.0f} %"
    assert "feature reference" in (job.out / "report.html").read_text()


def test_other_data_sets_are_not_splits_of_one(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "a")
    with pytest.raises(BadDataset, match="different splits of the same pairs"):
        compare(CompareJob((folder, folder), tmp_path / "out", systems="cca"), Told().listener)


@pytest.mark.parametrize(
    "given",
    [{"trials": 0}, {"trials": 9}, {"seeds": 0}, {"limit_s": -1.0}, {"limit_s": np.nan}],
    ids=lambda given: str(given),
)
def test_a_budget_that_cannot_be_is_refused(given):
    with pytest.raises(BadOptions):
        Budget(**given)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (5400, "1 h 30 min"),
        (36_059, "10 h 01 min"),
        (np.inf, "no limit"),
    ],
)
def test_lengths_of_time_are_spoken(seconds, said):
    assert spoken(seconds) == said
