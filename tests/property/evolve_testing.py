"""Random declarations, random changes of them, and random events: what evolve_test.py runs.

A DECLARATION is a `Set`: a source, a kind of feature set, options and features. `Set.change` gives another one, and says what must become of it:

    "served"    a run takes it, whatever fills or is null for a while
    "refused"   a run ends with exit code 78
    "either"    as plan says

THE KINDS of feature sets are in KINDS; each chain has one for good. What is drawn for each, beside plain features: KINDS[name].

TO ADD A KIND of change: a method `change_...`, in CHANGES. TO ADD A SOURCE: a class like One.
"""

import copy
import re
import time

T0 = 1704067200
EVENTS = 60  # of a link
KEYS = 6
LATENESS = {"5 minutes": 300, "10 minutes": 600, "20 minutes": 1200, "1 hour": 3600}
SPANS = {"5 minutes": 300, "20 minutes": 1200, "30 minutes": 1800, "1 hour": 3600, "2 hours": 7200}
DAYS = {"1 day": 86400, "2 days": 172800, "3 days": 259200}
SECONDS = {**SPANS, **DAYS, "1 minute": 60, "2 minutes": 120}
ROWS = ("1 events", "2 events", "3 events", "5 events", "9 events")
FILTERS = ("b > 50", "c = 'x'", "a is not null")
TYPED = {"sum": {"a": "double", "b": "bigint"}, "max": {"a": "double", "b": "bigint"}, "count": dict.fromkeys("abc", "bigint")}
OF_NUMBERS = ("sum", "avg", "min", "max", "count", "first", "last", "collect_list", "collect_set", "count_distinct", "mode", "median", "stddev",
              "first_nonnull", "last_nonnull", "sum_distinct", "range")
OF_TEXTS = ("count", "first", "last", "collect_list", "collect_set", "count_distinct", "mode", "min", "max", "last_nonnull")


# ---- features ----

class Plain:
    """A column or an SQL expression, cast."""

    TYPES = {"double": ("a", "a * {n}", "b + a"), "bigint": ("b", "b * {n}", "length(c) + {n}"), "string": ("c", "c || '{n}'", "a::varchar"),
             "boolean": ("a > {n}", "b % 2 = 0"), "decimal(12,2)": ("a + {n}",)}

    def __init__(self, rng, name, kind=None):
        self.name = name
        self.type = kind or rng.choice(list(self.TYPES))
        self.sql = rng.choice(self.TYPES[self.type]).format(n=rng.randrange(2, 9))

    def yaml(self, _):
        return f'{{name: {self.name}, type: "{self.type}", sql: "{self.sql}"}}'

    def verdicts(self, then, has_rows):
        """What plan must say of it: [(subject, words)]. `then`: the one of that name before, or None; `has_rows`: rows of keys are kept."""
        subject = f'feature "{self.name}"'
        if then is None and not has_rows:
            return [(subject, "served as it is")]
        if then is None or (then.type != self.type and has_rows):
            return [(subject, "served, null until the key's next event")]
        return [(subject, "served as it is")] if then.sql != self.sql else []


class Column:
    """A column that windows or groups give."""

    def __init__(self, feature, function, span, value):
        self.feature, self.function, self.span, self.value = feature, function, span, value


class Windowed:
    """Windows over a column, or aggregates of a group; some of them under a filter."""

    def __init__(self, made, rng, name, of=None):
        self.name = name
        read = [] if made.has_history else [feature.name for feature in made.plain() if feature.type in ("double", "bigint") and feature.name != "id"]
        self.of = of or rng.choice(["a", "b", "c", "a", "b", *read[:1]])
        self.filter = rng.choice((None, None, *FILTERS))
        self.mode = "rows" if not made.is_aggregated and not made.has_history and rng.random() < 0.3 else "fixed"
        self.until_full = rng.choice((None, None, "null", "partial")) if made.may_be_partial and not made.is_aggregated else None
        self.by = "c" if not made.is_aggregated and made.source.has_order and rng.random() < 0.15 else None
        self.order = "b" if self.mode == "rows" and made.source.has_order and rng.random() < 0.3 else None
        self.over = rng.sample(ROWS if self.mode == "rows" else list(SPANS), rng.randrange(1, 3))
        self.draw_functions(made, rng)

    def draw_functions(self, made, rng):
        known = [name for name in TYPED if self.of in TYPED[name]] if made.has_history else OF_TEXTS if self.of == "c" else OF_NUMBERS
        self.functions = rng.sample(known, min(len(known), rng.randrange(1, 4)))

    def yaml(self, made):
        filtered = f', filter: "{self.filter}"' if self.filter else ""
        functions = f"functions: [{', '.join(self.functions)}]"
        if made.is_aggregated:
            return f"{{name: {self.name}, from: {self.of}{filtered}, aggregate: {{{functions}}}}}"
        mode = ", mode: row_windows" if self.mode == "rows" else ""
        until = f', until_full: "{self.until_full}"' if self.until_full else ""
        by = f", partition_by: [{self.by}]" if self.by else ""
        by += f", order_by: {self.order}" if self.order else ""
        return f"{{name: {self.name}, from: {self.of}{filtered}, window: {{{functions}, over: [{', '.join(self.over)}]{mode}{by}{until}}}}}"

    def value(self):
        """What must have been kept for it."""
        return self.of, self.filter, self.by, self.order

    def columns(self, made):
        """{column: Column}"""
        ending = "rolling_windows" if made.is_aggregated else "row_windows" if self.mode == "rows" else "fixed_windows"
        spans = made.over if made.is_aggregated else self.over
        columns = {}
        for value in (made.pivot if made.is_aggregated and made.pivot else [None]):
            front = f"{value}_{self.name}" if value else self.name
            for function in self.functions:
                for span in spans or [None]:
                    name = f"{front}__{function}_over_{span.replace(' ', '_')}_{ending}" if span else f"{front}__{function}"
                    columns[name] = Column(self, function, span, value)
        return columns


# ---- sources ----

SCHEMA = "{id: bigint, u: string, ts: bigint, a: double, b: bigint, c: string}"


def file_reader(name, more="", schema=SCHEMA):
    return f"    - {{id: {name}, stream: true, {more}file: {{path: in_{name}, format: json, schema: {schema}}}}}\n"


class One:
    """A reader. Steps before the query (`steps`) are its class's."""

    has_order = True  # its rows come in the order of the events
    QUERIES = ("select * from ev", "select id, u, ts, a, b, c from ev", "select c, b, a, ts, u, id from ev -- x")

    def __init__(self, rng):
        self.query = rng.choice(self.QUERIES)
        self.where = ""

    def yaml(self):
        return f"source:\n  readers:\n{file_reader('ev')}  query: |\n    {self.query.replace('-- x', '')}{self.where}\n"

    def readers(self):
        return ["ev"]

    def change(self, rng):
        """Another text, or another meaning: what must become of it."""
        if rng.random() < 0.15:
            self.where = "" if self.where else " where id >= 0"
            return "either"  # nothing is kept that is made of the rows, where no window, group or newest row is
        self.query = rng.choice(self.QUERIES)
        return "served"

    def deal(self, rng, event):
        """The records of an event: [(reader, record)]."""
        return [("ev", event)]


class Filled(One):
    """A reader whose nulls take the last value of the key."""

    QUERIES = ("select id, u, ts, a, filled as b, c from ev", "select c, filled as b, a, ts, u, id from ev")

    def __init__(self, rng):
        super().__init__(rng)
        self.by, self.column = "u", "b"

    def change(self, rng):
        if rng.random() < 0.2:  # the last values that are kept are of other keys, or of another column
            self.by, self.column = ("u, c", "b") if rng.random() < 0.5 else ("u", "id")
            return "refused"
        return super().change(rng)

    def yaml(self):
        step = f"preprocess: [{{forward_fill: {{partition_by: [{self.by}], order_by: ts, column: {self.column}, into: filled}}}}], "
        return f"source:\n  readers:\n{file_reader('ev', step)}  query: |\n    {self.query}{self.where}\n"


class United:
    """Readers under UNION ALL; one more comes behind the others."""

    has_order = False

    def __init__(self, rng):
        self.n = 2

    def yaml(self):
        names = self.readers()
        query = " union all ".join(f"select id, u, ts, a, b, c from {name}" for name in names)
        return f"source:\n  readers:\n{''.join(map(file_reader, names))}  query: {query}\n"

    def readers(self):
        return ["ev", "ew", "ex", "ey"][:self.n]

    def change(self, rng):
        if self.n == 4:
            return None
        self.n += 1
        return "served"

    def deal(self, rng, event):
        return [(rng.choice(self.readers()), event)]


class Joined:
    """A stream whose rows take `b` from another's, and some have none there, or two."""

    has_order = False

    def __init__(self, rng):
        self.within = 5

    def yaml(self):
        return ("source:\n  readers:\n" +
                file_reader("ev", f"timestamp: {{from: ts, unit: s}}, within: {self.within} minutes, ") +
                file_reader("side", "timestamp: {from: ts, unit: s}, within: 5 minutes, ", "{id: bigint, ts: bigint, b: bigint}") +
                "  query: select e.id, e.u, e.ts, e.a, s.b, e.c from ev e left join side s on s.id = e.id\n")

    def readers(self):
        return ["ev", "side"]

    def change(self, rng):
        self.within += 1
        return "refused"

    def deal(self, rng, event):
        records = [("ev", {name: value for name, value in event.items() if name != "b"})]
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            records.append(("side", {"id": event["id"], "ts": event["ts"] + rng.randrange(120), "b": rng.randrange(100)}))
        return records


# ---- the set ----

class Set:
    """A declaration. `kind` is one of KINDS, and stays."""

    def __init__(self, rng, kind, has_history):
        self.rng = rng
        self.kind, self.n_names, self.gone = kind, 0, []
        self.written = {}  # the types of plain features that rows have been written with: a history keeps them
        options = KINDS[kind]
        self.is_aggregated = kind in ("groups", "rolling", "grid")
        self.source = options["source"](rng)
        self.has_history = has_history and not self.is_aggregated
        self.lateness = "1 hour" if kind == "newest" else "10 minutes"
        self.key = "u"
        self.refresh = rng.choice((None, "on_expiry")) if kind in ("windows", "rolling") else None
        self.within = "2 hours" if kind == "seen" or (self.source.has_order and rng.random() < 0.2) else None
        self.on = "id"
        self.may_be_partial = self.source.has_order and kind != "stacked" and rng.random() < 0.4
        self.until_full = rng.choice((None, "partial")) if self.may_be_partial else None
        self.over, self.slide, self.emit, self.pivot, self.distinct = [], None, "close", None, None
        if self.is_aggregated:
            self.pivot = rng.choice((None, ["x", "y"], ["x"]))
            self.distinct = None if self.may_be_partial else rng.choice((None, None, ("b", "last"), ("c", "first")))
        self.memory = rng.choice((None, None, "1 MiB"))
        self.stack = "a, b" if kind == "stacked" else None
        if kind == "grid":
            self.over, self.slide = rng.sample(list(DAYS), rng.randrange(1, 3)), "1 day"
        if kind == "rolling":
            self.over = rng.sample(list(SPANS)[:4], rng.randrange(1, 3))
            self.slide, self.emit = rng.choice(("5 minutes", "2 minutes")), rng.choice(("close", "change"))
        self.features = []
        if not self.is_aggregated:
            self.features = [Plain(rng, "id", "bigint")] + [Plain(rng, self.new_name()) for _ in range(2)]
            self.features[0].sql = "id"
        if options["windows"]:
            first = Windowed(self, rng, "total", "a")
            first.filter, first.functions, first.mode, first.over, first.until_full, first.by = None, ["sum", "count"], "fixed", ["30 minutes"], None, None
            first.order = None
            self.features.append(first)

    def new_name(self):
        self.n_names += 1
        return f"f{self.n_names}"

    def plain(self):
        return [feature for feature in self.features if isinstance(feature, Plain)]

    def windowed(self):
        return [feature for feature in self.features if isinstance(feature, Windowed)]

    def is_partial_anywhere(self, column):
        """Does it give what is known, as long as it is not full?"""
        return (column.feature.until_full or self.until_full) == "partial"

    def by_name(self, name):
        return next((feature for feature in self.features if feature.name == name), None)

    def columns(self):
        """{column: Plain or Column}"""
        columns = {}
        for feature in self.features:
            columns.update({feature.name: feature} if isinstance(feature, Plain) else feature.columns(self))
        return columns

    def yaml(self, lateness=None):
        aggregated = []
        if self.over:
            aggregated.append(f"windows: {{over: [{', '.join(self.over)}], slide: {self.slide}, emit: {self.emit}}}")
        if self.pivot:
            aggregated.append(f"pivot: {{column: c, values: [{', '.join(self.pivot)}]}}")
        if self.distinct:
            aggregated.append(f"distinct: {{subset: [{self.distinct[0]}], keep: {self.distinct[1]}}}")
        key = "{name: u, type: string}" if self.key == "u" else f'{{name: u, type: string, sql: "{self.key}"}}'
        return "".join((
            "version: 1\npipeline: chain\n", f"state: {{memory: {self.memory}}}\n" if self.memory else "", self.source.yaml(), f"feature_set:\n  name: chain\n  entity: user\n  keys: [{key}]\n",
            f"  timestamp: {{from: ts, unit: s, lateness: {lateness or self.lateness}}}\n",
            f"  refresh: {self.refresh}\n" if self.refresh else "", f'  until_full: "{self.until_full}"\n' if self.until_full else "",
            f"  deduplicate: {{on: [{self.on}], within: {self.within}}}\n" if self.within else "",
            f"  aggregated: {{{', '.join(aggregated)}}}\n" if self.is_aggregated else "",
            "  features:\n", f"    - {{name: stacked, type: double, stack: {{columns: [{self.stack}]}}}}\n" if self.stack else "",
            *(f"    - {feature.yaml(self)}\n" for feature in self.features),
            f"sink:\n  writers:\n    - jsonl: {{path: new.jsonl, rows: {'all' if self.is_aggregated else 'new'}}}\n",
            "    - jsonl: {path: newest.jsonl, rows: online}\n",
            "    - online: {debug: true}\n" if self.kind == "newest" else "", "    - history: {path: out}\n" if self.has_history else ""))

    # ---- changes ----

    def change(self):
        """(another set, what must become of it, the names of the changes)"""
        made = copy.deepcopy(self, {id(self.rng): self.rng})
        fates, names = [], []
        wanted = self.rng.choice((1, 1, 2, 3))
        while len(names) < wanted:
            name = self.rng.choice(CHANGES)
            fate = getattr(made, "change_" + name)()
            if fate is not None:
                fates.append(fate)
                names.append(name)
        if not self.is_aggregated:
            self.rng.shuffle(made.features)
        made.features.sort(key=lambda feature: isinstance(feature, Windowed))
        if not self.windowed():
            made.key = self.key
        if made.reads_another(self) or (made.key, made.emit) != (self.key, self.emit):
            fates.append("refused")
        if self.stack == made.stack == "a, b" and self.windowed() and self.copies() != made.copies():
            fates.append("refused")
        if {feature.order for feature in made.windowed()} - {feature.order for feature in self.windowed()} - {None}:
            fates.append("either")  # where it gives what is known
        if self.has_history and any(feature.type not in self.written.get(feature.name, (feature.type,)) for feature in made.plain()):
            fates.append("refused")
        fate = "refused" if "refused" in fates else "either" if "either" in fates else "served"
        if fate == "served" and made.yaml() == self.yaml():
            return self.change()
        return made, fate, names

    def reads_another(self, before):
        """Do windows look at a feature of before that is made otherwise now?"""
        for name in {feature.of for feature in self.windowed()} & {feature.of for feature in before.windowed()}:
            now, then = self.by_name(name), before.by_name(name)
            if now and then and (now.sql, now.type) != (then.sql, then.type):
                return True
        return False

    def copies(self):
        """In which order a stack makes rows of an event: in that of the query's columns."""
        return "ba" if "b, a" in self.source.query else "ab"

    def is_read(self, feature):
        return any(one.of == feature.name for one in self.windowed())

    def change_add_plain(self):
        if self.is_aggregated:
            return None
        self.features.append(Plain(self.rng, self.new_name()))
        return "served"

    def change_add_windowed(self):
        is_first = not self.windowed()
        if is_first and self.rng.random() < 0.7:
            return None
        self.features.append(Windowed(self, self.rng, self.new_name()))
        return "either" if is_first else "served"

    def change_drop(self):
        going = [feature for feature in self.features if feature.name not in ("id", "total") and not self.is_read(feature)]
        if not going or len(self.features) < 2:
            return None
        feature = self.rng.choice(going)
        self.features.remove(feature)
        self.gone.append(feature)
        return "served"

    def change_drop_all_windows(self):
        if self.is_aggregated or not self.windowed() or self.rng.random() < 0.9:
            return None
        self.features = self.plain()
        return "either"

    def change_back(self):
        """One that went comes back."""
        going = [one for one in self.gone if self.by_name(one.name) is None and (isinstance(one, Plain) or one.of in "abc" or self.by_name(one.of))]
        if not going:
            return None
        feature = self.rng.choice(going)
        is_first = isinstance(feature, Windowed) and not self.windowed()
        self.gone.remove(feature)
        self.features.append(feature)
        return "either" if is_first else "served"

    def change_plain(self):
        """Made otherwise, or of another type where no history is written."""
        changing = [feature for feature in self.plain() if feature.name != "id"]
        if not changing:
            return None
        feature = self.rng.choice(changing)
        if self.is_read(feature) and self.rng.random() < 0.8:
            return None
        stays = self.is_read(feature) or (self.has_history and self.rng.random() < 0.8)
        feature.__init__(self.rng, feature.name, feature.type if stays else None)
        return "served"

    def change_rename(self):
        changing = [feature for feature in self.features if feature.name not in ("id", "total") and not self.is_read(feature)]
        if not changing:
            return None
        feature = self.rng.choice(changing)
        self.gone.append(copy.copy(feature))
        feature.name = self.new_name()
        return "served"

    def changing(self):
        return [feature for feature in self.windowed() if feature.name != "total"]

    def change_functions(self):
        if not self.changing():
            return None
        self.rng.choice(self.changing()).draw_functions(self, self.rng)
        return "served"

    def change_windows(self):
        if self.kind == "rolling":
            self.over = self.rng.sample(list(SPANS)[:4], self.rng.randrange(1, 3))
            return "served"
        if self.kind == "grid":
            self.over = self.rng.sample(list(DAYS), self.rng.randrange(1, 3))
            return "served"
        if self.is_aggregated or not self.changing():
            return None
        feature = self.rng.choice(self.changing())
        feature.over = self.rng.sample(ROWS if feature.mode == "rows" else list(SPANS), self.rng.randrange(1, 3))
        return "served"

    def change_filter(self):
        if not self.changing():
            return None
        self.rng.choice(self.changing()).filter = self.rng.choice((None, *FILTERS))
        return "served"

    def change_value(self):
        if not self.changing():
            return None
        feature = self.rng.choice(self.changing())
        feature.__init__(self, self.rng, feature.name, feature.of if self.has_history else None)
        return "served"

    def change_lateness(self):
        if self.kind in ("joined", "newest"):
            return None
        was, self.lateness = self.lateness, self.rng.choice(list(LATENESS)[1:] if self.is_aggregated else list(LATENESS))
        return "either" if self.within and LATENESS[self.lateness] > LATENESS[was] else "served"

    def change_refresh(self):
        if self.kind not in ("windows", "rolling", "seen", "united") or not self.windowed():
            return None
        self.refresh = None if self.refresh else "on_expiry"
        return "served"

    def change_memory(self):
        self.memory = None if self.memory else "1 MiB"
        return "served"

    def change_stack(self):
        if not self.stack or not self.windowed() or self.rng.random() < 0.5:
            return None
        self.stack = "a" if self.stack == "a, b" else "a, b"
        return "refused"

    def change_source(self):
        return self.source.change(self.rng)

    def change_until_full(self):
        if not self.may_be_partial:
            return None
        self.until_full = None if self.until_full else "partial"
        return "served"

    def change_key(self):
        if not self.windowed() or self.rng.random() < 0.8:
            return None
        self.key = "upper(u)" if self.key == "u" else "u"
        return "served"

    def change_deduplicate(self):
        if not self.source.has_order or self.rng.random() < 0.5:
            return None
        if not self.within:
            self.within = "2 hours"
            return "either"
        if self.rng.random() < 0.3:
            self.on = "id, ts" if self.on == "id" else "id"
            return "either"
        was, self.within = self.within, self.rng.choice(("1 hour", "2 hours", "3 hours"))
        return "either" if self.within > was else "served"

    def change_pivot(self):
        if not self.is_aggregated:
            return None
        self.pivot = self.rng.choice((None, ["x", "y"], ["x"], ["x", "y", "z"], ["z"], ["z", "y"]))
        return "served"

    def change_distinct(self):
        if not self.is_aggregated or self.may_be_partial:
            return None
        self.distinct = self.rng.choice((None, ("b", "last"), ("b", "first"), ("c", "first"), ("b, c", "last")))
        return "served"

    def change_slide(self):
        if self.kind != "rolling":
            return None
        self.slide = self.rng.choice(("5 minutes", "1 minute", "2 minutes"))
        return "served"

    def change_emit(self):
        if self.kind != "rolling" or self.rng.random() < 0.8:
            return None
        self.emit = "change" if self.emit == "close" else "close"
        return "served"


CHANGES = sorted(name.removeprefix("change_") for name in dir(Set) if name.startswith("change_"))
CHANGES += ["add_plain", "add_windowed", "add_windowed", "drop", "functions", "windows", "windows", "filter", "pivot", "distinct"]

# Each chain has one of these.
KINDS = {
    "windows": {"source": One, "windows": True},
    "rolling": {"source": One, "windows": True},
    "newest": {"source": One, "windows": False},
    "groups": {"source": One, "windows": True},
    "seen": {"source": One, "windows": True},
    "united": {"source": United, "windows": True},
    "joined": {"source": Joined, "windows": True},
    "filled": {"source": Filled, "windows": True},
    "grid": {"source": One, "windows": True},
    "stacked": {"source": One, "windows": True},
}


# ---- events ----

EVERY = {"newest": 10, "grid": 5400}  # seconds between two events; else 60
TOGETHER = {"groups": 180, "newest": 1500}  # events of so many seconds have one time; of a key several, also across links


def draw_events(rng, made, link, n_before, closed, again=()):
    """[(reader, record)] of a link in the order in which they come, and the events themselves; none before `closed`. Where events are taken
    once some come again, those of `again`, too, which is of the link before."""
    events, records = [], []
    late = 240 if made.is_aggregated or made.kind in TOGETHER or not made.source.has_order else LATENESS[made.lateness] - 60
    begin = T0 + link * EVENTS * 60
    for i in range(n_before, n_before + EVENTS):
        at = T0 + i * EVERY.get(made.kind, 60) - (rng.randrange(late) if rng.random() < 0.3 else 0)
        if made.kind in TOGETHER:
            at = at // TOGETHER[made.kind] * TOGETHER[made.kind]
        at = max(at, closed)
        if not made.source.has_order:
            at = max(at, begin)  # readers side by side: no row before those of the link before
        user = f"u{rng.randrange(2 if made.kind in TOGETHER else KEYS)}" if rng.random() < 0.93 else f"n{link}"
        event = {"id": i, "u": user, "ts": at, "a": None if rng.random() < 0.1 else rng.randrange(60) / 4,
                 "b": None if rng.random() < 0.1 else rng.randrange(100), "c": rng.choice("wxyz")}
        events.append(event)
        records += made.source.deal(rng, event)
        if made.within and rng.random() < 0.15 and i - n_before > 3:
            records.append(records[-3])
        if made.within and again and rng.random() < 0.1:
            records.append(rng.choice(again))
    return events, records


# ---- what is known of a window while it fills ----

def passes(condition, event):
    if condition is None:
        return True
    if condition == "b > 50":
        return event["b"] is not None and event["b"] > 50
    return event["c"] == "x" if condition == "c = 'x'" else event["a"] is not None


def distinct_of(values):
    return list(dict.fromkeys(values))


AGGREGATES = {
    "count": len, "sum": lambda v: sum(v) if v else None, "min": lambda v: min(v, default=None), "max": lambda v: max(v, default=None),
    "avg": lambda v: sum(v) / len(v) if v else None, "collect_list": list, "count_distinct": lambda v: len(set(v)),
    "first_nonnull": lambda v: v[0] if v else None, "last_nonnull": lambda v: v[-1] if v else None,
    "range": lambda v: max(v) - min(v) if v else None, "sum_distinct": lambda v: sum(set(v)) if v else None,
}


def same(one, other):
    """The same cell: doubles up to the order in which they were added."""
    if isinstance(one, float) or isinstance(other, float):
        return one == other if one is None or other is None else abs(one - other) <= 1e-9 * max(1, abs(one), abs(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def seconds_of(words):
    return SECONDS[words]


def rows_of(words):
    return int(re.match(r"\d+", words).group())


class Progress:
    """Says every few seconds how far it is."""

    def __init__(self, wanted):
        self.wanted, self.begun, self.told = wanted, time.monotonic(), 0

    def tell(self, done, more=""):
        now = time.monotonic()
        if now - self.told > 5:
            self.told = now
            print(f"{done} of {self.wanted} changes{more and ', ' + more}, {now - self.begun:.0f} s", flush=True)
