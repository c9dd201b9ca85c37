"""Keys are well formed, checked before the database is asked, and kept as digests."""

from hypothesis import given
from hypothesis import strategies as st

from apps.core.keys import make_key, read_key


def test_a_key_reads_back_as_itself():
    key = make_key("acp_agt")
    assert read_key(key.text, "acp_agt") == key
    assert read_key(key.text, "acp_pat") is None
    assert key.secret not in key.digest


def test_a_typing_error_never_passes_the_checksum():
    text = make_key("acp_agt").text
    for index in range(len("acp_agt_"), len(text)):
        wrong = "x" if text[index] != "x" else "y"
        assert read_key(text[:index] + wrong + text[index + 1 :], "acp_agt") is None


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_without_an_error(text):
    assert read_key(text, "acp_agt") is None
    assert read_key(f"acp_agt_{text}", "acp_agt") is None
