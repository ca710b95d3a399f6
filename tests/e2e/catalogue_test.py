"""freshet docs: what a declaration makes, as Markdown, JSON and a page, with where each column comes from."""

import html.parser
import json
import os
import re
import unittest

from freshet_testing import Case

DECLARATION = """\
version: 1
pipeline: shop
source:
  readers:
    - {id: orders, stream: true, file: {path: in, schema: {id: bigint, at: timestamp, amount: double, country: string}}}
    - {id: countries, file: {path: countries.csv, schema: {code: string, name: string}}}
  query: select o.id, o."at", o.amount * 2 as twice, c.name from orders o join countries c on c.code = o.country
feature_set:
  name: shop_orders
  entity: shop
  description: Orders | with <b>signs</b>
  keys: [{name: id, type: bigint, description: The order}]
  timestamp: {from: at}
  features:
    - {name: country, from: name, type: string, description: Where}
    - {name: spent, from: twice, window: {functions: [avg, {sum: double}], over: [1 hour]}, filter: country = 'x'}
    - {name: shout, type: string, sql: "upper(country) || 'twice'"}
sink: {writers: [{online: {debug: true}}]}
"""


class Page(html.parser.HTMLParser):
    """Which tags are open, what is drawn, and whether anything is loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.nodes, self.lines, self.loads, self.ids = [], [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "g":
            self.nodes.append(attrs["id"])
        if tag == "path":
            self.lines.append((attrs["data-a"], attrs["data-b"]))
        self.ids.add(attrs.get("id"))
        self.loads += [attrs[name] for name in ("src", "href") if name in attrs and not attrs[name].startswith("#")]
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "rect", "path"):
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in ("li", "p", "td", "th", "tr"):
            self.open.pop()
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()


class CatalogueTest(Case):

    def setUp(self):
        super().setUp()
        self.write("in/0.jsonl", '{"id": 1, "at": "2024-05-01T00:00:00Z", "amount": 1, "country": "x"}\n')
        self.write("countries.csv", "code,name\nx,Xanadu\n")
        self.write("shop.yaml", DECLARATION)

    def test_json(self):
        told = json.loads(self.good("docs", "shop.yaml", "--json"))
        self.assertEqual((told["feature_set"], told["entity"], told["pipeline"], told["stream"]),
                         ("shop_orders", "shop", "shop", True))
        self.assertEqual({column["name"]: column["from"] for column in told["query_columns"]},
                         {"id": [["orders", "id"]], "at": [["orders", "at"]], "twice": [["orders", "amount"]],
                          "name": [["countries", "name"]]})
        features = {feature["name"]: feature for feature in told["features"]}
        self.assertEqual(list(features), ["id", "timestamp", "country", "spent", "shout"])
        self.assertEqual([column["name"] for column in features["spent"]["columns"]],
                         ["spent__avg_over_1_hour_fixed_windows", "spent__sum_over_1_hour_fixed_windows"])
        self.assertEqual({name: feature["from"] for name, feature in features.items()},
                         {"id": ["id"], "timestamp": ["at"], "country": ["name"], "spent": ["twice", "name"],
                          "shout": ["name"]})
        self.assertEqual(features["spent"]["how"], "avg, sum over 1 hour of twice where `country = 'x'`")

    def test_markdown(self):
        text = self.good("docs", "shop.yaml")
        self.assertIn("# shop_orders\n\nOrders | with <b>signs</b>\n", text)
        self.assertIn("| `shout` | string | feature |  | `upper(country) \\|\\| 'twice'` | `countries.name` |\n", text)
        self.assertIn("| `country` | string | feature | Where | name | `countries.name` |\n", text)
        self.assertIn("| `orders` | file, stream | `id`, `at`, `amount`, `country` |\n", text)
        for row in re.findall(r"(?m)^\|.*\|$", text):
            self.assertIn(len(re.findall(r"(?<!\\)\|", row)), (4, 7), row)

    def test_page(self):
        self.good("docs", ".", "-o", "out")
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["catalogue.jsonl", "index.html", "shop.md"])
        with open(self.path("out/index.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertEqual(page.loads, [])
        self.assertIn("Orders | with &lt;b&gt;signs&lt;/b&gt;", text)
        self.assertEqual(len(page.nodes), 4 + 4 + 5)  # readers' columns that something is made of, query's, features
        self.assertEqual(len(page.lines), 4 + 6)
        for line in page.lines:
            self.assertLessEqual(set(line), page.ids)
        with open(self.path("out/shop.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), self.good("docs", "./shop.yaml"))
        self.good("docs", ".", "--output", "out")  # again, over what is there

    def test_mistakes(self):
        elsewhere = DECLARATION.replace("path: in", "path: ../in").replace("path: countries", "path: ../countries")
        self.write("more/bad.yaml", elsewhere.replace("twice, c.name", "twice, c.nam"))
        self.write("more/good.yaml", elsewhere)
        out = self.freshet("docs", "more", "-o", "out")
        self.assertEqual(out.code, 78, out.err)
        self.assertRegex(out.err, r"more/bad\.yaml:7:\d+: error: .*nam")
        self.assertFalse(os.path.exists(self.path("out")))
        os.mkdir(self.path("empty"))
        out = self.freshet("docs", "empty")
        self.assertEqual(out.code, 2)
        self.assertIn("there is no declaration (*.yaml) in the folder empty", out.err)
        self.write("taken", "")
        out = self.freshet("docs", "shop.yaml", "-o", "taken")
        self.assertEqual(out.code, 1)
        self.assertIn("taken/shop.md cannot be written: ", out.err)
        out = self.freshet("docs", "shop.yaml", "-x")
        self.assertEqual(out.code, 2)


if __name__ == "__main__":
    unittest.main()
