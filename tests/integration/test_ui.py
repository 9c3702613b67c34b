"""The page as a replica serves it: files, types, what browsers are told. What it does in a browser: tests/ui."""
import glob
import gzip
import os
import re
import shutil
import subprocess

import pytest

from cluster import ROOT
from test_access import bearer, bootstrap, create

PAGE = os.path.join(ROOT, "api", "ui", "page")
FILES = sorted(name for name in os.listdir(PAGE) if name.endswith((".html", ".js", ".css", ".svg")))
SCRIPTS = [name for name in FILES if name.endswith(".js")]
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BYTES_MAX = 150 * 1024


def content(name):
    with open(os.path.join(PAGE, name), "rb") as file:
        return file.read()


def directives(answer):
    parts = answer.headers["Content-Security-Policy"].split(";")
    return {part.split()[0]: part.split()[1:] for part in parts}


def test_all_files_together_are_small():
    assert sum(len(content(name)) for name in FILES) < BYTES_MAX


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_served_as_it_is_with_its_type(shared, name):
    for replica in shared:
        got = replica.request("GET", "/ui/" + name)
        assert got.status == 200 and got.body == content(name)
        assert got.headers["Content-Type"] == TYPES[os.path.splitext(name)[1]]
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_a_browser_has_is_not_sent_again(shared, name):
    tags = {replica.request("GET", "/ui/" + name).headers["ETag"] for replica in shared}
    assert len(tags) == 1
    again = shared[1].request("GET", "/ui/" + name, headers={"If-None-Match": tags.pop()})
    assert again.status == 304 and again.body == b""
    assert shared[1].request("GET", "/ui/" + name, headers={"If-None-Match": 'W/"other"'}).status == 200


def test_files_are_compressed_for_browsers(shared):
    got = shared[0].request("GET", "/ui/app.js", headers={"Accept-Encoding": "gzip"})
    assert got.headers["Content-Encoding"] == "gzip" and gzip.decompress(got.body) == content("app.js")
    assert len(got.body) < len(content("app.js")) / 2


def test_head_has_the_length_and_no_body(shared):
    got = shared[0].request("HEAD", "/ui/style.css")
    assert got.status == 200 and int(got.headers["Content-Length"]) == len(content("style.css"))


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/"])
def test_the_page_is_at_its_own_path_and_for_browsers_at_the_root(shared, path):
    got = shared[2].request("GET", path, headers=BROWSER)
    assert got.status == 200 and got.body == content("index.html")
    if path == "/":
        assert "Accept" in got.headers.get_all("Vary")
        assert shared[2].get("/").json["id"] == 3


def test_what_is_not_a_file_of_the_page_is_not_found(shared):
    for name in ("none.js", "README.md", "..%2fREADME.md", "site.c"):
        assert shared[0].request("GET", "/ui/" + name).status == 404
    assert shared[0].request("POST", "/ui/app.js").status == 405


def test_nothing_inline_and_nothing_from_elsewhere_is_allowed(shared):
    got = shared[0].request("GET", "/ui/")
    policy = directives(got)
    assert policy["default-src"] == ["'none'"] and policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    members = ["http://127.0.0.1:%d" % replica.http_port for replica in shared]
    assert sorted(policy["connect-src"]) == sorted(["'self'"] + members)
    assert got.headers["Referrer-Policy"] == "strict-origin" and got.headers["X-Frame-Options"] == "DENY"


def test_who_may_not_know_the_members_is_not_told_their_addresses(make_cluster):
    closed = make_cluster(3, "--anonymous", "none")
    closed.start()
    bootstrap(closed[0])
    got = closed[0].request("GET", "/ui/")
    assert got.status == 200 and directives(got)["connect-src"] == ["'self'", "http:"]


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_foreign_host_or_has_anything_inline(name):
    text = content(name).decode("utf-8")
    for url in re.findall(r"https?://[^\s\"'`<>)]+", text):
        assert url == "http://www.w3.org/2000/svg" or url.startswith("${"), url
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b", text)
    if name.endswith(".html"):
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\son\w+=", text)


def imports(name):
    return re.findall(r'(?<!import\()"\./(\w+\.js)"', content(name).decode("utf-8"))


def test_every_module_is_there_and_all_that_the_first_view_needs_is_asked_for_at_once():
    needed, waiting = set(), ["app.js"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += imports(name)
    assert set(re.findall(r"/ui/(\w+\.js)", content("index.html").decode("utf-8"))) == needed
    later = {found for name in SCRIPTS for found in re.findall(r'import\("\./(\w+\.js)"\)', content(name).decode("utf-8"))}
    assert needed | later | {found for name in later for found in imports(name)} == set(SCRIPTS)


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_every_script_is_valid():
    for name in SCRIPTS:
        subprocess.run(["node", "--check", "--input-type=module"], input=content(name), check=True, timeout=30)


def test_the_readme_names_every_file_of_the_page():
    with open(os.path.join(PAGE, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    assert [name for name in FILES if "`%s`" % name not in readme] == []


def test_pictures_are_small():
    for path in glob.glob(os.path.join(ROOT, "api", "ui", "*.png")):
        assert os.path.getsize(path) < 150 * 1024


def test_who_asks_is_told_what_he_may_do(make_cluster):
    one = make_cluster(1)
    one.start()
    everything = one[0].get("/access").json
    assert everything["credentials"] == "none" and everything["operator_write"] and everything["principal"] is None
    assert everything["services"] == [{"prefix": "", "access": "write"}]
    operator = bootstrap(one[0])
    nobody = one[0].get("/access").json
    assert nobody["read"] and not nobody["write"] and not nobody["operator_read"]
    assert nobody["services"] == [{"prefix": "", "access": "read"}]
    token = create(one[0], operator, services=[{"name": "web", "access": "write"}])
    web = one[0].request("GET", "/access", headers=bearer(token["token"])).json
    assert web["credentials"] == "valid" and web["principal"] == token["id"] and web["write"]
    assert {"name": "web", "access": "write"} in web["services"] and not web["operator_write"]
    bound = create(one[0], operator, namespace="shop", services=[{"prefix": "", "access": "read"}])
    assert one[0].request("GET", "/access", headers=bearer(bound["token"])).json["namespace"] == "shop"


def test_a_wrong_token_may_do_nothing(make_cluster):
    one = make_cluster(1)
    one.start()
    right = bootstrap(one[0])
    wrong = one[0].request("GET", "/access", headers=bearer(right[:-1] + ("a" if right[-1] != "a" else "b"))).json
    assert wrong["credentials"] == "invalid" and wrong["principal"] is None
    assert not any(value for value in wrong.values() if isinstance(value, bool))
