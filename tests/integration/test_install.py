"""The results of `cmake --install`: a library that others can build with, and correct manual pages."""
import os
import re
import shutil
import subprocess

import pytest

from cluster import BIN, MUSTER, MUSTERD, ROOT, clean_environment, sanitized


def output_of(*command, environment=None):
    """The output of a successful command."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", timeout=100,
                          env=clean_environment(environment)).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    output_of("cmake", "--install", BIN, "--prefix", str(prefix))
    return prefix


@pytest.mark.skipif(sanitized(), reason="a program without the sanitizer cannot link what has one")
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("example", ["serve", "find", "follow", "loop"])
def test_an_example_builds_with_pkg_config_alone(installed, tmp_path, example, static):
    folder = next(p.parent for p in installed.rglob("muster.pc"))
    pc = (folder / "muster.pc").read_text(encoding="utf-8")
    (tmp_path / "muster.pc").write_text(re.sub("^prefix=.*", "prefix=%s" % installed, pc, flags=re.M),
                                        encoding="utf-8")
    # Without a shared library the linker uses the static one.
    if static:
        (tmp_path / "static").mkdir()
        shutil.copy(next(installed.rglob("libmuster.a")), tmp_path / "static")
        text = (tmp_path / "muster.pc").read_text(encoding="utf-8")
        (tmp_path / "muster.pc").write_text(
            re.sub("^libdir=.*", "libdir=%s" % (tmp_path / "static"), text, flags=re.M),
            encoding="utf-8")
    flags = output_of("pkg-config", *(["--static"] if static else []), "--cflags", "--libs", "muster",
                      environment={"PKG_CONFIG_PATH": str(tmp_path)}).split()
    program = tmp_path / example
    output_of("cc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-o",
              str(program), os.path.join(ROOT, "client", "examples", example + ".c"), *flags)
    linked = output_of("readelf", "-d", str(program))
    assert ("libmuster.so" in linked) != static
    libraries = next(installed.rglob("libmuster.so")).parent
    done = subprocess.run([program], capture_output=True, encoding="utf-8", check=False, timeout=30,
                          env={"LD_LIBRARY_PATH": str(libraries)})
    assert done.returncode == 2 and done.stderr.startswith("usage: " + example)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
def test_the_header_is_cplusplus_too(installed, tmp_path):
    source = tmp_path / "a.cc"
    source.write_text("#include <muster.h>\n"
                      "int main() { struct muster_spec spec = MUSTER_SPEC_INIT;\n"
                      "struct muster_query query = MUSTER_QUERY_INIT;\n"
                      "struct muster_options options = MUSTER_OPTIONS_INIT;\n"
                      "return muster_version() == nullptr || spec.size + query.size == options.size; }\n",
                      encoding="utf-8")
    output_of("g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I",
              str(installed / "include"), str(source))


def test_only_what_the_header_names_is_seen_of_the_libraries(installed):
    with open(os.path.join(ROOT, "client", "include", "muster.h"), encoding="utf-8") as file:
        header = set(re.findall(r"\b(muster_\w+)\(", re.sub(r"/\*.*?\*/", "", file.read(),
                                                           flags=re.DOTALL)))
    header = {name for name in header if not name.endswith("_cb")}
    library = next(p for p in installed.rglob("libmuster.so"))
    shown = output_of("nm", "-D", "--defined-only", str(library))
    assert {w.split("@")[0] for w in re.findall(r" T (\S+)", shown)} == header
    assert "muster_open@@MUSTER_0.1" in shown and "muster_dispatch@@MUSTER_0.2" in shown
    dynamic = output_of("readelf", "-d", str(library))
    assert "[libmuster.so.0]" in dynamic


def page(installed, name):
    return next(installed.rglob(name)).read_text(encoding="utf-8").replace("\\-", "-")


def test_the_page_of_muster_names_every_command(installed):
    text = output_of(MUSTER, "--help")
    commands = re.findall(r"^  (\w+) ", text.split("Commands:")[1].split("\n\n")[0], re.MULTILINE)
    assert len(commands) >= 11
    shown = page(installed, "muster.1")
    for command in commands:
        assert re.search(r"^\.It Cm %s\b" % command, shown, re.MULTILINE), command


def test_the_page_of_musterd_names_every_option(installed):
    text = output_of(MUSTERD, "--help")
    options = set(re.findall(r"^  --([\w-]+)", text, re.MULTILINE))
    named = set(re.findall(r"Fl -([\w-]+)", page(installed, "musterd.8")))
    assert len(options) > 15 and named == options


def test_the_page_of_the_library_names_every_function(installed):
    with open(os.path.join(ROOT, "client", "lib", "muster.map"), encoding="utf-8") as file:
        functions = set(re.findall(r"(muster_\w+);", file.read()))
    assert functions == set(re.findall(r"^\.Fn (muster_\w+)", page(installed, "libmuster.3"),
                                       re.MULTILINE))


def complete(installed, *words, servers=""):
    script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _muster; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    path = os.path.dirname(MUSTER) + os.pathsep + os.environ["PATH"]
    return output_of("bash", "-c", script, str(next(installed.rglob("completions/muster"))), "muster",
                     *words, environment={"MUSTER_SERVER": servers, "PATH": path}).split()


def test_completion_knows_commands_options_values_and_services(installed, shared, name):
    text = output_of(MUSTER, "--help")
    commands = re.findall(r"^  (\w+) ", text.split("Commands:")[1].split("\n\n")[0], re.MULTILINE)
    assert set(commands) <= set(complete(installed, ""))
    assert complete(installed, "--output", "list", "he") == []
    assert complete(installed, "heartbeat", "web", "--status", "w") == ["warning"]
    assert "--snapshot" in complete(installed, "watch", "--s")
    shared[0].register(name, id=name)
    shared.wait_same_state()
    assert complete(installed, "discover", name[:-2], servers=shared[0].url) == [name]


@pytest.mark.parametrize("command", ["register", "run", "heartbeat", "maintenance", "list", "discover",
                                     "watch", "backup", "bench"])
def test_completion_knows_the_options_of_each_command(installed, command):
    text = output_of(MUSTER, command, "--help")
    options = set(re.findall(r"(?<!\S)(--[a-z][a-z-]+)", text.split("Examples:")[0]))
    options -= {"--output", "--restore", "--timeout"}
    assert options <= set(complete(installed, command, "--")), command
