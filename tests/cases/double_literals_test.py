"""A literal means the same in the query and in a feature: what DuckDB makes of the text as it was written."""

import json
import unittest

from freshet_testing import Case

# Expression, its type, its value as text.
LITERALS = [
    ("2.5e0", "DOUBLE", "2.5"),
    ("1e0", "DOUBLE", "1.0"),
    ("-1e5", "DOUBLE", "-100000.0"),
    ("1e300 * 1e300", "DOUBLE", "inf"),
    ("1e400", "DOUBLE", "inf"),
    ("-1e400", "DOUBLE", "-inf"),
    ("0.1e0 + 0.2e0", "DOUBLE", "0.30000000000000004"),
    ("0.1 + 0.2", "DECIMAL(3,1)", "0.3"),
    ("cast(2.5e0 as int)", "INTEGER", "2"),
    ("cast(2.5 as int)", "INTEGER", "3"),
    ("5. / 2", "DOUBLE", "2.5"),
    ("5.", "DECIMAL(1,0)", "5"),
    ("123456789012345678901234567890.", "DECIMAL(30,0)", "123456789012345678901234567890"),
    ("[1e0, 2]", "DOUBLE[]", "[1.0, 2.0]"),
    ("{'a': 1.5e0}", "STRUCT(a DOUBLE)", "{'a': 1.5}"),
    ("list_transform([1, 2], lambda e: e * 2.5e0)", "DOUBLE[]", "[2.5, 5.0]"),
    ("case when true then 1 else 2.5e0 end", "DOUBLE", "1.0"),
    ("case when 2.5e0 > 2.5 then 'more' else 'same' end", "VARCHAR", "same"),
    ("'$__freshet_literal_0_ ' || 2.5e0", "VARCHAR", "$__freshet_literal_0_ 2.5"),
    ("round(2.45e0, 1)", "DOUBLE", "2.5"),
    ("interval '1' month + interval 2 hour", "INTERVAL", "1 month 02:00:00"),
    ("true is not false", "BOOLEAN", "true"),
]


class LiteralsTest(Case):

    def declare_literals(self, *, stream, frame="select *, {items} from events"):
        items = [f"{sql} as v{i}" for i, (sql, _, _) in enumerate(LITERALS)]
        query = frame.format(items=", ".join(items))
        features = ["{name: id, type: bigint}"]
        for i, (sql, _, _) in enumerate(LITERALS):
            for name, expression in ("query", f"v{i}"), ("feature", sql):
                features.append(f"{{name: {name}_value_{i}, type: string, sql: {json.dumps(f'cast(({expression}) as varchar)')}}}")
                features.append(f"{{name: {name}_type_{i}, type: string, sql: {json.dumps(f'typeof({expression})')}}}")
        # an INTERVAL cannot leave the query: its text can
        query = query.replace("hour as v", "hour || '' as v")
        self.declare(stream=stream, query=query, features=features)
        self.write("in/0.jsonl", '{"id":1,"key":"a","seen":"2024-01-01T00:00:00Z","value":1}\n')

    def assert_literals(self, row):
        for i, (sql, kind, value) in enumerate(LITERALS):
            for place in "query", "feature":
                if kind == "INTERVAL" and place == "query":
                    continue
                self.assertEqual((row[f"{place}_value_{i}"], row[f"{place}_type_{i}"]), (value, kind), (place, sql))

    def test_batch_and_stream(self):
        for stream in False, True:
            self.declare_literals(stream=stream)
            (row,), _ = self.once()
            self.assert_literals(row)

    def test_in_places(self):
        """In a subquery, a CTE, a join's condition, WHERE, a union, a batch that runs as a whole."""
        for frame in ("select * from (select *, {items} from events) e where value < 1.5e0",
                      "with e as (select *, {items} from events) select * from e where 0.1e0 + 0.2e0 > 0.3e0",
                      "select e.*, {items} from events e join (values (1e0)) v(x) on e.value = v.x",
                      "select *, {items} from events where value > 1e0 union all select *, {items} from events",
                      "select *, {items} from events order by value * 2.5e0 limit 1"):
            self.declare_literals(stream=False, frame=frame)
            (row,), _ = self.once()
            self.assert_literals(row)

    def test_a_double_column(self):
        """`1.5e0 as factor` was refused with a message about patterns."""
        self.declare(stream=False, query="select *, 1.5e0 as factor from events",
                     features=("{name: id, type: bigint}", "{name: factor, type: double}"))
        self.write("in/0.jsonl", '{"id":1,"key":"a","seen":"2024-01-01T00:00:00Z","value":1}\n')
        self.good("check", "events.yaml")
        (row,), _ = self.once()
        self.assertEqual(row["factor"], 1.5)


if __name__ == "__main__":
    unittest.main()
