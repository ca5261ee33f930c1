"""A report in, cells and sentences out; whoever prints them chooses how."""

from model.comparison.report import DIRECTIONS, Figures, Report, RowReport, TableReport
from model.comparison.tables import PRIMARY, Contest, Interval
from model.evaluation.paired import Difference
from model.evaluation.pool import PROTOCOLS

RECALLS = ("R@10", "R@15", "R@20", "R@25")  # of the paper's tables
NOT_HERE, GUESSING = "n/a", "guessing"
MINUS = "\N{MINUS SIGN}"


def header(report: Report) -> tuple[str, ...]:
    """Columns of a table."""
    first, *others = RECALLS
    both = [
        name
        for direction in DIRECTIONS
        for name in (f"{first} {direction}", "95 %", *(each.removeprefix("R") for each in others))
    ]
    share = [f"of oracle {direction}" for direction in DIRECTIONS] if report.oracles else []
    beside = [name for direction in DIRECTIONS for name in (f"beside {direction}", "p")]
    return ("", *both, *share, *beside)


def table_rows(report: Report, table: TableReport) -> list[tuple[str, ...]]:
    """Cells of every row of a table, then of the oracles and of chance."""
    rows = [_row(report, table, report.rows[name]) for name in table.rows]
    fixed = [
        (name, *_recalls(figures)) for name, figures in (*report.oracles.items(), (GUESSING, report.chance))
    ]
    width = len(header(report))
    return rows + [(*cells, *[""] * (width - len(cells))) for cells in fixed]


def notes(report: Report, table: TableReport) -> list[str]:
    """Why rows have no figures, and which were stopped; rows that share a reason share a line."""
    labels: dict[str, list[str]] = {}
    for name in table.rows:
        row = report.rows[name]
        why = f"{NOT_HERE} ({row.reason})" if row.reason else row.course.stopped if row.course else ""
        if why:
            labels.setdefault(why, []).append(row.label)
    return [f"{'; '.join(named)}: {why}" for why, named in labels.items()]


def caption(report: Report, table: TableReport) -> str:
    """What a table shows: protocol, pool, seeds, and what stands beside what."""
    pool = " and ".join(f"{n:,}" for n in dict.fromkeys(report.pool))
    budget = report.facts["budget"]
    reference = report.rows[table.reference].label if table.reference in report.rows else ""
    beside = f"; beside: R@10 less that of {reference}, 95 %, p by Holm over the table" if reference else ""
    several = f", {len(report.pool)} splits together" if len(report.pool) > 1 else ""
    return (
        f"{table.title}. Protocol {PRIMARY}: all {pool} test clips (or videos), right is the own "
        f"one{several}; mean of {budget['seeds']} seeds; 95 % over queries, by track{beside}"
    )


def protocol_header() -> tuple[str, ...]:
    """Columns of the table of protocols."""
    return ("", *(f"{protocol} {direction}" for protocol in PROTOCOLS for direction in DIRECTIONS))


def protocol_rows(report: Report) -> list[tuple[str, ...]]:
    """R@10 of every row under every protocol."""
    rows = [(row.label, row.figures) for row in report.rows.values() if row.figures]
    return [
        (name, *(_one(figures, protocol, direction) for protocol in PROTOCOLS for direction in DIRECTIONS))
        for name, figures in (*rows, *report.oracles.items(), (GUESSING, report.chance))
    ]


def contest_line(report: Report, found: Contest) -> str:
    """One comparison in words."""
    ours, theirs = (report.rows[name].label for name in (found.ours, found.theirs))
    return (
        f"{ours} less {theirs}, R@10 {found.direction}: {difference(found.difference)}, "
        f"p {p_value(found.difference.p)}, {found.ratio:.2f} times"
    )


def course_header() -> tuple[str, ...]:
    """Columns of the table of trainings."""
    return ("", "parameters", "seeds", "best epoch", "epochs", "training, s", "settings")


def course_rows(report: Report) -> list[tuple[str, ...]]:
    """How every row was trained."""
    return [
        (
            row.label,
            f"{row.course.parameters:,}",
            f"{row.course.seeds}",
            f"{row.course.best_epoch:.1f}",
            f"{row.course.epochs:.1f} of {row.course.epochs_asked}",
            f"{row.course.train_s:.1f}",
            "; ".join(dict.fromkeys(row.course.settings)) or "as published",
        )
        for row in report.rows.values()
        if row.course is not None
    ]


def share(value: float) -> str:
    """.403, as the paper prints it."""
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 0.9995 else f"{value:.3f}"


def difference(found: Difference) -> str:
    """+.021 [+.003, +.040]."""
    return f"{_signed(found.value)} [{_signed(found.low)}, {_signed(found.high)}]"


def p_value(p: float) -> str:
    """Three decimals, and no smaller one than can be resolved."""
    return "<.001" if p < 0.0005 else share(p)


def _row(report: Report, table: TableReport, row: RowReport) -> tuple[str, ...]:
    shares = [_oracle_share(row, direction) for direction in DIRECTIONS] if report.oracles else []
    beside = [cell for direction in DIRECTIONS for cell in _beside(table, row, direction)]
    return (row.label, *_recalls(row.figures), *shares, *beside)


def _recalls(figures: Figures) -> list[str]:
    if PRIMARY not in figures:
        return [NOT_HERE, *[""] * (2 * (len(RECALLS) + 1) - 1)]
    cells = []
    for direction in DIRECTIONS:
        first, *others = (figures[PRIMARY][direction][figure] for figure in RECALLS)
        cells += [share(first.value), _range(first), *(share(each.value) for each in others)]
    return cells


def _beside(table: TableReport, row: RowReport, direction: str) -> tuple[str, str]:
    found = table.beside.get(direction, {}).get(row.id)
    return ("", "") if found is None else (difference(found.difference), p_value(found.p_holm))


def _oracle_share(row: RowReport, direction: str) -> str:
    return f"{100 * row.oracle_share[direction]:.0f} %" if direction in row.oracle_share else ""


def _one(figures: Figures, protocol: str, direction: str) -> str:
    found = figures.get(protocol, {}).get(direction)
    return "" if found is None else share(found["R@10"].value)


def _range(interval: Interval) -> str:
    return f"{share(interval.low)}-{share(interval.high)}"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else MINUS}{share(abs(value))}"
