"""What `dialect: spark` gives for many expressions in few processes, beside what Spark 3.5 gave.

A table has a line an expression: the expression (one over the columns of INPUT; or `Q: SELECT ...`; or
`EXPR @ (1),(2)`, which is SELECT EXPR FROM (VALUES (1),(2)) AS t1(x), or t1(x, y)), its group, and Spark's
`value :type` or `ERROR ...`. Values are compared as Spark's CAST(... AS STRING) writes them, types by name.

    python3 tests/dialect/dialect_runner.py FRESHET TABLE... [--show silent|refused|types|errors] [--group NAME]
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

INPUT_SCHEMA = """k: string, ts0: timestamp, i: integer, i2: integer, j: integer, z: integer, ni: integer, mx: integer,
b: bigint, d: double, d2: double, d3: double, zd: double, nan: double, big: double, small: double, f: float,
de: "decimal(10,2)", de2: "decimal(10,2)", s: string, se: string, sn: string, num: string, num2: string, bad: string,
csv: string, dots: string, pipe: string, word: string, sp: string, pct: string, under: string, ts: timestamp,
ts2: timestamp, old: timestamp, tsw: timestamp, dt: date, dt2: date, dsun: date, dold: date, ds: string, tss: string,
iso: string, br: string, badd: string, arr: array<integer>, sa: array<string>, an: array<integer>, ae: array<integer>,
m: "array<struct<key: string, value: integer>>", st: "struct<a: integer, b: string>",
stn: "struct<a: integer, b: string>", js: string, epoch: bigint, ems: bigint, tb: boolean, fb: boolean, nb: boolean"""

INPUT = dict(
    k="k1", ts0="2024-06-01 00:00:00", i=7, i2=3, j=-7, z=0, ni=None, mx=2147483647, b=3000000000, d=2.5, d2=1.005,
    d3=-3.5, zd=0.0, nan="NaN", big=12345678.9, small=0.0001234, f=0.1, de=12.35, de2=3.00, s="hello world", se="",
    sn=None, num="12", num2="1.9", bad="abc", csv="a,b,c", dots="a.b.c", pipe="a|b|c", word="foo123bar45",
    sp="  hello  ", pct="50%", under="a_b", ts="2024-01-31 10:20:30.5", ts2="2024-03-15 23:59:59",
    old="1969-12-31 23:59:58.5", tsw="2024-01-07 10:00:00", dt="2024-02-29", dt2="2024-01-31", dsun="2024-01-07",
    dold="1969-07-20", ds="2024-01-15", tss="2024-01-15 10:00:00", iso="2024-01-15T10:00:00Z", br="15/01/2024",
    badd="2024-13-45", arr=[3, 1, None, 2], sa=["b", "a", "b"], an=None, ae=[], m=[{"key": "a", "value": 1}],
    st={"a": 1, "b": "x"}, stn={"a": 1, "b": None},
    js='{"a":1,"b":{"c":"x"},"arr":[1,2],"nul":null,"f":1.0,"g":1e10,"t":true,"s":"q"}',
    epoch=1700000000, ems=1700000000123, tb=True, fb=False, nb=None)

AT_ONCE = 60


def columns_of(values):
    depth, n, quoted = 0, 1, False
    for c in values:
        if c == "'":
            quoted = not quoted
        if quoted:
            continue
        depth += c == "("
        depth -= c == ")"
        if depth == 0 and c == ")":
            return n
        n += c == "," and depth == 1
    return n


def as_query(expression):
    if expression.startswith("Q: "):
        return expression[3:]
    match = re.match(r"^(.*) @ (\(.*)$", expression)
    if not match:
        return None
    item, values = match.groups()
    end = values.rfind(")") + 1
    names = "x" if columns_of(values[:end]) == 1 else "x, y"
    return f"SELECT {item} FROM (VALUES {values[:end]}) AS t1({names}){values[end:]}"


class Case:
    def __init__(self, line):
        self.expression, self.group, spark = line.split("\t")[:3]
        match = re.match(r"^(.*) :(\S.*)$", spark, re.S)
        self.is_error = spark.startswith("ERROR") or not match
        self.value, self.type = (spark, "") if self.is_error else match.groups()
        self.query, self.more = as_query(self.expression), ""
        self.rows, self.why, self.given = None, None, None

    def verdict(self):
        if self.rows is None:
            return "refused"
        if self.is_error:
            return "error taken"
        return "same" if self.is_same() else "silent"

    def shown(self):
        if self.rows is None:
            return self.why
        cells = ["NULL" if v is None else '""' if v == "" else v.replace("\t", "\\t").replace("\n", "\\n")
                 for v in self.rows]
        return cells[0] if len(cells) == 1 else "(" + "; ".join(cells) + ")"

    def is_same(self):
        mine, theirs = self.shown(), self.value
        if mine == theirs:
            return True
        if self.type in ("double", "float") or self.query:
            try:
                a, b = float(mine), float(theirs)
                return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-12 * max(abs(a), abs(b))
            except ValueError:
                return False
        return False


def read_table(path):
    with open(path, encoding="utf8") as lines:
        return [Case(line.rstrip("\n")) for line in lines if "\t" in line and not line.startswith("expression\t")]


class Runner:
    def __init__(self, binary, folder):
        self.binary, self.folder, self.runs = os.path.abspath(binary), folder, 0
        os.chmod(folder, 0o700)
        with open(os.path.join(folder, "t.jsonl"), "w", encoding="utf8") as out:
            out.write(json.dumps(INPUT) + "\n")

    def run(self, query, features, select):
        self.runs += 1
        schema = "".join(f"          {line.strip()}\n" for line in ("{" + INPUT_SCHEMA + "}").split("\n"))
        text = ("version: 1\npipeline: p\ndialect: spark\nsource:\n  readers:\n    - id: t\n      file:\n        path: t.jsonl\n"
                f"        format: json\n        schema:\n{schema}  query: |-\n{query}\n"
                "feature_set:\n  name: f\n  entity: e\n  keys:\n    - {name: k, type: string}\n  timestamp: {from: ts0}\n"
                f"  features:\n{features}sink:\n  writers:\n    - online: {{debug: true}}\n")
        with open(os.path.join(self.folder, "p.yaml"), "w", encoding="utf8") as out:
            out.write(text)
        letters = os.path.join(self.folder, "p.dead_letters.jsonl")
        if os.path.exists(letters):
            os.remove(letters)
        done = subprocess.run([self.binary, "run", "p.yaml", "--once", "--progress", "none", "--format", "json", "--query", select],
                              cwd=self.folder, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "FRESHET_RUN_DIR": self.folder})
        dead = ""
        if os.path.exists(letters) and os.path.getsize(letters):
            with open(letters, encoding="utf8") as lines:
                dead = json.loads(lines.readline()).get("reason", "")
        rows = [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None
        return rows, dead, done.stderr

    def scalars(self, cases):
        """Those that are refused are named by the messages, one run shows all of them."""
        left = list(cases)
        for round_of in range(40):
            if not left:
                return
            features = "".join(
                f"    - name: v{n}\n      type: string\n      sql: |-\n        {self.cell(c, c.expression)}\n"
                f"    - name: t{n}\n      type: string\n      sql: |-\n        typeof({c.expression})\n" for n, c in enumerate(left))
            cells = ", ".join(f"v{n}, t{n}" for n in range(len(left)))
            rows, dead, errors = self.run("    select * from t", features, f"select {cells} from online_feature_store__f")
            if rows and not dead:
                for n, case in enumerate(left):
                    case.rows, case.given = [rows[0][f"v{n}"]], rows[0][f"t{n}"]
                return
            bad = {}
            for n, why in re.findall(r'error: feature "[vt](\d+)": ([^\n]*)', errors) + \
                    re.findall(r'feature "[vt](\d+)": (.*)', dead):
                bad.setdefault(int(n), why)
            if not bad:
                if len(left) == 1:
                    left[0].why = (errors + dead)[-300:]
                    return
                self.scalars(left[:len(left) // 2])
                self.scalars(left[len(left) // 2:])
                return
            for n, why in bad.items():
                left[n].why = why
            left = [case for n, case in enumerate(left) if n not in bad]

    @staticmethod
    def cell(case, text):
        return f"hex({text})" if case.type == "binary" else f"cast({text} as string)"

    def queries(self, cases):
        """Each query is a part of a UNION ALL; halves where one is refused."""
        if not cases:
            return
        parts = [f"select concat({n}, '-', row_number() over (order by null)) as k, tt.ts0, {n} as n, w.s, w.ty from "
                 f"(select {self.cell(c, 'v')} as s, typeof(v) as ty from ({c.query}\n    ) as q(v{c.more})) as w, t as tt"
                 for n, c in enumerate(cases)]
        query = "    " + "\n    union all\n    ".join(parts)
        rows, dead, errors = self.run(query, "    - {name: n, type: integer}\n    - {name: s, type: string}\n    - {name: ty, type: string}\n",
                                      "select n, s, ty, k from online_feature_store__f")
        if rows is not None and not dead:
            for n, case in enumerate(cases):
                mine = sorted((int(row["k"].split("-")[1]), row["s"]) for row in rows if row["n"] == n)
                case.rows = [value for _, value in mine]
                case.given = next((row["ty"] for row in rows if row["n"] == n), None)
                if not case.rows:
                    case.rows = [] if case.value == "()" else ["no rows"]
        elif len(cases) == 1 and re.search(r"1 names stand here for (\d+)", errors) and not cases[0].more:
            cases[0].more = "".join(f", v{n}" for n in range(2, 1 + int(re.search(r"1 names stand here for (\d+)", errors).group(1))))
            self.queries(cases)
        elif len(cases) == 1:
            match = re.search(r"error: ([^\n]*)", errors)
            cases[0].why = (match.group(1) if match else errors + dead)[-300:]
        else:
            self.queries(cases[:len(cases) // 2])
            self.queries(cases[len(cases) // 2:])

    def all(self, cases):
        scalars = [case for case in cases if case.query is None]
        queries = [case for case in cases if case.query is not None]
        for n in range(0, len(scalars), AT_ONCE):
            self.scalars(scalars[n:n + AT_ONCE])
        for n in range(0, len(queries), 16):
            self.queries(queries[n:n + 16])


def main():
    show = sys.argv[sys.argv.index("--show") + 1] if "--show" in sys.argv else ""
    group = sys.argv[sys.argv.index("--group") + 1] if "--group" in sys.argv else ""
    paths = [a for n, a in enumerate(sys.argv[2:], 2) if not a.startswith("--") and not sys.argv[n - 1].startswith("--")]
    cases = [case for path in paths for case in read_table(path)]
    cases = [case for case in cases if group in ("", case.group)]
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(sys.argv[1], folder)
        runner.all(cases)
    counts = {}
    for case in cases:
        verdict = case.verdict()
        if case.is_error:
            verdict = "error of Spark " + ("taken" if case.rows is not None else "refused")
        counts.setdefault(case.group, {}).setdefault(verdict, 0)
        counts[case.group][verdict] += 1
        is_typed = verdict == "same" and case.given not in (None, case.type)
        if verdict == show or (show == "types" and is_typed) or (show == "errors" and verdict == "error of Spark taken"):
            print(f"{case.expression}\tSpark: {case.value} :{case.type}\tFreshet: {case.shown()} :{case.given}")
    total = {}
    for name, verdicts in sorted(counts.items()):
        print(f"{name:10} " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items())))
        for verdict, n in verdicts.items():
            total[verdict] = total.get(verdict, 0) + n
    print("all        " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(total.items())) + f"; {runner.runs} runs")


if __name__ == "__main__":
    main()
