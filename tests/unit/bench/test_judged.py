from pathlib import Path

import pytest

from bench import judged

CRANFIELD = {
    "cran.xml": "<doc><docno>7</docno><title>on\n wings/tails</title>"
    "<text>wings lift .</text></doc>\n"
    "<doc><docno>8</docno><title></title><text></text></doc>",
    "cran.qry": "<xml><top><num> 12</num><title>what\nlifts ?</title></top>"
    "<top><num>40</num><title>nothing</title></top></xml>",
    "cran.qrel": "1 0 7 3\n1 0 8 0\n\n",
}
MODULE = '''"""A module."""

class Box:
    """A box that
    holds things."""

    def open(self, key):
        """Open the box with this key and look inside.

        Not told.
        """
        lid = self.lid
        lid.turn(key)
        return lid.inside

    def shut(self): "Shut the box so that nothing falls out."

    def size(self):
        """Return the size of the box in all directions."""
        return 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in CRANFIELD.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "box.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_box.py").write_text(MODULE)
    return tmp_path


def test_judgements_number_the_questions_as_they_come(folder: Path) -> None:
    found = judged.cranfield(folder)

    assert found.documents == {"on wings tails 7.txt": "wings lift .", "8.txt": ""}
    first, second = found.questions
    assert (first.id, first.text) == ("1", "what lifts ?")
    assert first.relevant == {"on wings tails 7.txt": 3, "8.txt": 0}
    assert second.relevant == {}
    assert found.item(first, "8.txt", "whatever") == "8.txt"


def test_questions_are_what_docstrings_said_that_are_gone(folder: Path) -> None:
    found = judged.library(folder)

    [question] = found.questions
    assert question.text == "Open the box with this key and look inside."
    assert [*found.documents] == ["box.py"]
    text = found.documents["box.py"]
    assert "holds things" not in text
    assert "Open the box" not in text
    assert "Return the size" not in text
    place = question.place
    assert place is not None
    assert text[place.start : place.end] == (
        "    def open(self, key):\n        lid = self.lid\n"
        "        lid.turn(key)\n        return lid.inside\n"
    )


def test_a_passage_answers_if_it_holds_a_part_of_the_function(folder: Path) -> None:
    found = judged.library(folder)
    [question] = found.questions

    assert found.item(question, "box.py", "lid.turn(key)") == question.id
    assert found.item(question, "box.py", "class Box:") != question.id
    assert found.item(question, "box.py", "not in there") != question.id


def test_sentences_are_long_enough_to_mean_something(folder: Path) -> None:
    of = judged.Judged("any", {"a": "One two three four five six . Too short ."})

    assert set(judged.sentences(of, folder)) == {
        "One two three four five six",
        "Open the box with this key and look inside.",
        "Return the size of the box in all directions.",
    }


def test_documents_are_written_as_files(tmp_path: Path) -> None:
    judged.Judged("any", {"a/b.py": "é"}).write(tmp_path)

    assert (tmp_path / "a" / "b.py").read_text("utf-8") == "é"
