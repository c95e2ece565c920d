"""When a table of what the tests saw is written, and when it is stale."""
import pytest

import matrix


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A table of two rows and two columns, of which one cell cannot be."""
    table = matrix.Table("client", "codec", ["a", "b"], ["x", "y"], {("b", "y"): "it is blind"})
    monkeypatch.setattr(matrix, "TABLES", {"small": table})
    monkeypatch.setattr(matrix, "RECORDED", {})
    monkeypatch.setattr(matrix, "FILE", tmp_path / "out.md")
    monkeypatch.setattr(matrix, "TEXT", tmp_path / "in.md")
    monkeypatch.setattr(matrix.versions, "table", lambda: f"{matrix.versions.HEAD}\n|---|---|---|\n| a | 1 | 2 |")
    matrix.TEXT.write_text("# Head\n\n{{small}}\n\n{{versions}}\n\nTail\n")


def record_all(last="ok"):
    matrix.record("small", client="a", codec="x")
    matrix.record("small", client="a", codec="y")
    matrix.record("small", last, client="b", codec="x")


def test_a_table_that_misses_a_cell_is_not_written(small):
    matrix.record("small", client="a", codec="x")
    with pytest.raises(AssertionError, match="not seen"):
        matrix.write()
    assert not matrix.FILE.exists()


def test_a_written_table_is_current_until_an_outcome_or_the_text_changes(small, monkeypatch):
    record_all()
    matrix.write()
    text = matrix.FILE.read_text()
    assert "| a | ok | ok |\n| b | ok | – (1) |\n\n1. It is blind." in text
    assert matrix.stale(whole=True) == []
    matrix.FILE.write_text(text.replace("| a | 1 | 2 |", "| a | 1.1 | 2.1 |"))
    assert matrix.stale(whole=True) == [], "another version is no fault"
    monkeypatch.setattr(matrix, "RECORDED", {})
    record_all("pictures only")
    assert matrix.stale(whole=True) == ["| b | pictures only | – (1) |", "| b | ok | – (1) |"]
    monkeypatch.setattr(matrix, "RECORDED", {})
    record_all()
    matrix.TEXT.write_text(matrix.TEXT.read_text().replace("Tail", "Other"))
    assert matrix.stale(whole=True) == ["Other", "Tail"]


def test_a_part_of_the_tests_compares_its_part(small, monkeypatch):
    record_all()
    matrix.write()
    monkeypatch.setattr(matrix, "RECORDED", {})
    matrix.record("small", client="a", codec="x")
    assert matrix.stale(whole=False) == []
    assert matrix.stale(whole=True) == ["no test records small, a, y", "no test records small, b, x"]
    matrix.record("small", "no sound", client="a", codec="y")
    assert matrix.stale(whole=False) != []


def test_a_cell_has_one_outcome_and_is_declared(small):
    matrix.record("small", client="a", codec="x")
    with pytest.raises(AssertionError, match="before"):
        matrix.record("small", "no sound", client="a", codec="x")
    for keys in ({"client": "c", "codec": "x"}, {"client": "b", "codec": "y"}, {"client": "a", "login": "x"}):
        with pytest.raises(AssertionError):
            matrix.record("small", **keys)
