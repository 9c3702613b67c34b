"""Adds a row to each table, and sees that every place where it is missing is found."""
import os
import shutil

import pytest

import tables

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROW = {
    tables.COMMANDS: 'COMMAND(PLANTED, planted, 99, 9, "planted", FLAG(on))\n',
    tables.EVENTS: 'EVENT(PLANTED, "planted", "planted")\n',
    tables.FIELDS: 'NUMBER(planted, "planted", uint16_t, UINT16_MAX)\n',
}


@pytest.fixture
def tree(tmp_path):
    for table, place, _, _ in tables.PLACES:
        for path in (table, place, "server/registry/command.h"):
            source, target = os.path.join(ROOT, path), tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)
    return tmp_path


def test_the_tables_and_what_stands_beside_them_agree(tree):
    assert tables.check(str(tree)) == []


@pytest.mark.parametrize("table", sorted(ROW))
def test_every_place_that_a_new_row_is_missing_in_is_found(tree, table):
    with open(tree / table, "a", encoding="utf-8") as file:
        file.write(ROW[table])
    found = tables.check(str(tree))
    assert [path for path, _, _ in found] == [p for t, p, _, _ in tables.PLACES if t == table]


@pytest.mark.parametrize("table", sorted(ROW))
def test_a_table_that_is_not_found_is_no_agreement(tree, table):
    (tree / table).unlink()
    assert (table, 0, "has no row that tests/tidy/tables.py knows") in tables.check(str(tree))
