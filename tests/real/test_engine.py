"""The engine on real models: reuse, sharing, cancelling, filling up, saving."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.builders import tiny_llama_gguf

from edge_runtime import AsyncRuntime, Runtime
from edge_runtime.errors import (
    ContextFull,
    EngineClosed,
    MemoryBudgetExceeded,
    ModelFileInvalid,
    ModelLoadFailed,
    OptionInvalid,
)
from edge_runtime.values.records import ContextPolicy, FinishReason, Message

LONG = "One two three four five six seven eight nine ten eleven twelve. " * 60


@pytest.fixture(scope="module")
def runtime(smollm2_path: Path, shared_store: Path) -> Iterator[Runtime]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_RUNTIME_HOME", str(shared_store))
        with Runtime.open(smollm2_path, context_tokens=1024, parallel=3) as opened:
            yield opened


def ask(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def test_a_second_turn_evaluates_only_its_new_tokens(runtime: Runtime) -> None:
    messages = ask("Name three rivers in Europe.")
    first = runtime.chat(messages, temperature=0, max_tokens=40)
    messages.append({"role": "assistant", "content": first.text})
    messages.append({"role": "user", "content": "Which is longest?"})
    usage = runtime.chat(messages, temperature=0, max_tokens=4).usage
    already = first.usage.prompt_tokens + first.usage.completion_tokens
    assert usage.cached_tokens >= already - 1  # the last token drawn was never evaluated
    assert usage.prompt_tokens - usage.cached_tokens < 25


def test_an_answer_that_was_cut_off_is_reused_too(runtime: Runtime) -> None:
    """Its last token was shown but never evaluated; at a high temperature words come in odd tokens."""
    checked = 0
    for seed in range(3):
        messages = ask("Write about the sea.")
        first = runtime.chat(messages, temperature=1.8, top_k=0, min_p=0.02, max_tokens=30, seed=seed)
        messages.append({"role": "assistant", "content": first.text})
        messages.append({"role": "user", "content": "Go on."})
        prompt = runtime.prompt_of(messages)
        usage = runtime.chat(messages, max_tokens=1).usage
        if first.text and first.text in prompt:  # the template takes white space off the ends
            already = first.usage.prompt_tokens + first.usage.completion_tokens
            assert usage.cached_tokens >= already - 1
            checked += 1
    assert checked


def test_greedy_answers_do_not_depend_on_what_was_cached(runtime: Runtime, smollm2_path: Path) -> None:
    messages = ask("What is the capital of France?")
    warm = [runtime.chat(messages, temperature=0, max_tokens=24) for _ in range(2)]
    with Runtime.open(smollm2_path, context_tokens=512) as fresh:
        cold = fresh.chat(messages, temperature=0, max_tokens=24)
    assert cold.usage.cached_tokens == 0
    assert warm[1].usage.cached_tokens == warm[1].usage.prompt_tokens - 1
    assert warm[0].text == warm[1].text == cold.text


def test_a_shared_system_prompt_is_evaluated_once(smollm2_path: Path) -> None:
    system: Message = {"role": "system", "content": "You are a patient teacher of geography. " * 12}
    with Runtime.open(smollm2_path, context_tokens=512, parallel=2) as fresh:
        first = fresh.chat([system, *ask("Where is Rome?")], temperature=0, max_tokens=4)
        second = fresh.chat([system, *ask("How high is Mont Blanc?")], temperature=0, max_tokens=4)
        again = fresh.chat([system, *ask("Where is Rome?")], temperature=0, max_tokens=4)
    assert second.usage.cached_tokens > 90  # the system prompt, copied
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1  # and the first one was not overwritten
    assert again.text == first.text


def test_several_at_once_say_what_each_says_alone(runtime: Runtime) -> None:
    prompts = ["1, 2, 3, 4, 5, 6, 7,", "21, 22, 23, 24, 25, 26,", "A, B, C, D, E, F, G, H,"]
    alone = [runtime.generate(prompt, raw=True, temperature=0, max_tokens=12).text for prompt in prompts]
    together: dict[str, str] = {}

    def run(prompt: str) -> None:
        together[prompt] = runtime.generate(prompt, raw=True, temperature=0, max_tokens=12).text

    threads = [threading.Thread(target=run, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[prompt] for prompt in prompts] == alone


def test_a_stream_is_the_whole_in_pieces(runtime: Runtime) -> None:
    with runtime.chat(ask("Say hello."), stream=True, temperature=0, max_tokens=12) as stream:
        pieces = [piece.text for piece in stream]
    assert len(pieces) > 1
    assert "".join(pieces) == stream.result().text


def test_cancelling_stops_within_one_step_and_keeps_what_was_said(runtime: Runtime) -> None:
    with runtime.generate("Count: 1 2 3", raw=True, stream=True, temperature=0, ignore_end=True) as stream:
        heard = [next(stream).text for _ in range(3)]
        stream.cancel()
        reply = stream.result()
    assert reply.finish_reason is FinishReason.CANCELLED
    assert reply.text.startswith("".join(heard))
    assert reply.usage.completion_tokens <= 3 + 2 * 2


def test_cancelling_interrupts_a_long_prompt(runtime: Runtime) -> None:
    started_s = time.perf_counter()
    whole = runtime.generate(LONG[:4000], raw=True, max_tokens=1)
    whole_s = time.perf_counter() - started_s
    stream = runtime.generate("Other " + LONG[:4000], raw=True, stream=True, max_tokens=1)
    time.sleep(whole_s * 0.15)
    cancelled_s = time.perf_counter()
    stream.cancel()
    assert stream.result().finish_reason is FinishReason.CANCELLED
    assert time.perf_counter() - cancelled_s < whole_s * 0.5
    assert whole.usage.prompt_tokens > 700
    # The session is good afterwards.
    assert runtime.generate("Paris is the capital of", raw=True, temperature=0, max_tokens=2).text.strip()


def test_cancelling_one_leaves_the_others_alone(runtime: Runtime) -> None:
    # Something the model is sure of: batched with others, logits differ in the last digits.
    numbers = "11, 12, 13, 14, 15, 16, 17, 18, 19, 20,"
    expected = runtime.generate(numbers, raw=True, temperature=0, max_tokens=24).text
    other = runtime.generate(numbers, raw=True, stream=True, temperature=0, max_tokens=24)
    next(other)
    victim = runtime.generate("Unlike " + LONG[:3000], raw=True, stream=True, max_tokens=4)
    time.sleep(0.05)
    victim.cancel()
    assert victim.result().finish_reason is FinishReason.CANCELLED
    assert other.result().text == expected


def test_stop_strings_end_the_answer_and_are_not_part_of_it(runtime: Runtime) -> None:
    reply = runtime.generate("1, 2, 3, 4,", raw=True, temperature=0, max_tokens=40, stop=" 7,")
    assert reply.finish_reason is FinishReason.STOP
    assert "7" not in reply.text and "6" in reply.text


def test_a_prompt_longer_than_the_context_is_refused_with_numbers(runtime: Runtime) -> None:
    with pytest.raises(ContextFull) as caught:
        runtime.generate(LONG * 3, raw=True)
    assert caught.value.context_tokens == 1024
    assert (caught.value.prompt_tokens or 0) > 1024


def test_a_full_context_drops_old_turns_or_stops_as_asked(runtime: Runtime) -> None:
    turns: list[Message] = [{"role": "system", "content": "Answer briefly."}]
    for n in range(6):
        turns += [
            {"role": "user", "content": f"{n}: {LONG[:900]}"},
            {"role": "assistant", "content": f"I have read text {n}."},
        ]
    turns += ask("What was I talking about?")
    reply = runtime.chat(turns, temperature=0, max_tokens=8)
    assert reply.dropped_turns >= 1
    assert reply.usage.prompt_tokens < 1024
    with pytest.raises(ContextFull):
        runtime.chat(turns, max_tokens=8, context_policy=ContextPolicy.STOP)


def test_an_answer_that_fills_the_context_ends_with_length(smollm2_path: Path) -> None:
    with Runtime.open(smollm2_path, context_tokens=64) as small:
        reply = small.generate("Once upon a time", raw=True, temperature=0, ignore_end=True)
        assert reply.finish_reason is FinishReason.LENGTH
        assert reply.usage.prompt_tokens + reply.usage.completion_tokens == 65  # the last is never evaluated
        assert small.generate("Once", raw=True, temperature=0, max_tokens=2).text  # and the session is good


def test_json_schema_is_kept_to(runtime: Runtime) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    for seed in range(4):
        reply = runtime.chat(ask("Describe Paris."), json_schema=schema, seed=seed, max_tokens=80)
        found = json.loads(reply.text)
        assert set(found) == {"city", "people"} and isinstance(found["people"], int)


def test_a_grammar_is_kept_to_and_a_broken_one_refused(runtime: Runtime) -> None:
    reply = runtime.chat(ask("Is water wet?"), grammar='root ::= "yes" | "no"', max_tokens=10, seed=3)
    assert reply.text in ("yes", "no")
    assert reply.finish_reason is FinishReason.STOP
    with pytest.raises(OptionInvalid, match="grammar"):
        runtime.chat(ask("?"), grammar="root ::= ((")
    with pytest.raises(OptionInvalid, match="schema"):
        runtime.chat(ask("?"), json_schema={"$ref": "https://example.com/schema.json"})


def test_logprobs_are_of_the_whole_vocabulary(runtime: Runtime) -> None:
    reply = runtime.generate("Two plus two is", raw=True, temperature=0, max_tokens=3, top_logprobs=5)
    assert len(reply.logprobs) == 3
    for entry in reply.logprobs:
        assert entry.top[0][0] == entry.token_id  # greedy
        assert entry.logprob == pytest.approx(entry.top[0][2])
        assert sum(np.exp(logprob) for _, _, logprob in entry.top) < 1.0


def test_the_same_seed_says_the_same(smollm2_path: Path) -> None:
    """From the same state of the cache, that is: another split into batches changes the last digits."""
    texts = []
    for seed in (5, 5, 6):
        with Runtime.open(smollm2_path, context_tokens=64) as fresh:
            texts.append(fresh.generate("My favourite", raw=True, max_tokens=16, seed=seed).text)
    assert texts[0] == texts[1] != texts[2]


def test_embeddings_know_what_belongs_together(runtime: Runtime) -> None:
    rows = runtime.embed(["a small cat", "a little kitten", "the stock market fell by three percent"])
    assert rows.shape == (3, 576)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    streamed = list(runtime.embed(["a small cat", "a little kitten"], stream=True))
    assert np.allclose(np.array(streamed), rows[:2], atol=1e-5)


def test_a_conversation_comes_back_from_disk(smollm2_path: Path, tmp_path: Path) -> None:
    messages = ask("Remember the word tulip. " + LONG[:1500])
    with Runtime.open(smollm2_path, context_tokens=1024) as first:
        said = first.chat(messages, temperature=0, max_tokens=8)
        assert first.save_state(messages, tmp_path / "state") > 0
    with Runtime.open(smollm2_path, context_tokens=1024) as second:
        assert second.restore_state(tmp_path / "state") >= said.usage.prompt_tokens
        again = second.chat(messages, temperature=0, max_tokens=8)
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
        assert again.text == said.text


def test_a_state_that_is_damaged_or_of_another_model_costs_only_time(
    smollm2_path: Path, gemma_path: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with Runtime.open(smollm2_path, context_tokens=256) as runtime:
        runtime.chat(ask("Hi"), max_tokens=2)
        runtime.save_state(ask("Hi"), state)
        whole = state.read_bytes()
        for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole[:40], b"\xff" * 4096):
            state.write_bytes(damaged)
            assert runtime.restore_state(state) == 0
        assert runtime.restore_state(tmp_path / "absent") == 0
        assert runtime.chat(ask("Hi"), max_tokens=2).text
    state.write_bytes(whole)
    with Runtime.open(gemma_path, context_tokens=256) as other:
        assert other.restore_state(state) == 0
        assert other.generate("Hello", raw=True, max_tokens=2, ignore_end=True).usage.completion_tokens == 2


def test_a_sliding_window_does_not_spoil_reuse(gemma_path: Path) -> None:
    """Gemma 3 forgets keys behind its window of 512: going back beyond them must evaluate again."""
    with Runtime.open(gemma_path, context_tokens=2048) as gemma:
        text = LONG * 2  # about 1,600 tokens
        whole = gemma.generate(text, raw=True, temperature=0, max_tokens=8)
        back = gemma.generate(text[:2000], raw=True, temperature=0, max_tokens=8)
        again = gemma.generate(text, raw=True, temperature=0, max_tokens=8)
    with Runtime.open(gemma_path, context_tokens=2048) as fresh:
        assert fresh.generate(text[:2000], raw=True, temperature=0, max_tokens=8).text == back.text
    assert again.text == whole.text


def test_a_base_model_continues_the_text(gemma_path: Path) -> None:
    with Runtime.open(gemma_path, context_tokens=256) as gemma:
        assert not gemma.has_chat_template
        said = gemma.chat(ask("Monday, Tuesday, Wednesday, Thursday,"), temperature=0, max_tokens=3).text
        assert said.startswith(" Friday")


def test_closing_ends_what_is_running(smollm2_path: Path) -> None:
    runtime = Runtime.open(smollm2_path, context_tokens=512)
    stream = runtime.generate("Go on and on:", raw=True, stream=True, ignore_end=True)
    next(stream)
    runtime.close()
    with pytest.raises(EngineClosed):
        for _ in stream:
            pass
    with pytest.raises(EngineClosed):
        runtime.generate("more", raw=True)
    with pytest.raises(EngineClosed):
        runtime.embed("more")
    runtime.close()


def test_a_budget_shrinks_what_is_held_or_is_refused(smollm2_path: Path) -> None:
    with Runtime.open(smollm2_path, budget="180MB") as small:
        assert small.plan.total_bytes <= 180_000_000
        choices = small.plan.choices
        assert choices.context_tokens < 4096 or choices.kv_type.value != "f16"
        assert small.generate("Once upon a time", raw=True, max_tokens=8, temperature=0.0).text
    with pytest.raises(MemoryBudgetExceeded, match="budget") as caught:
        Runtime.open(smollm2_path, budget="100MB")
    assert "budget='" in caught.value.hint and "MB' fits" in caught.value.hint
    with pytest.raises(MemoryBudgetExceeded, match=r"the budget is 95\.0 MiB"):
        Runtime.open(smollm2_path, budget="95MiB")


def test_over_the_budget_new_requests_are_refused_until_there_is_room(smollm2_path: Path) -> None:
    with Runtime.open(smollm2_path, budget="300MB") as runtime:
        assert runtime.generate("Once", raw=True, max_tokens=2).text
        ballast = np.ones(1_000_000_000 // 8)
        usage = runtime.memory_usage()
        assert usage.anonymous_bytes > 1_000_000_000 and usage.peak_bytes >= usage.anonymous_bytes
        with pytest.raises(MemoryBudgetExceeded, match="its budget is 300 MB") as caught:
            runtime.generate("upon", raw=True, max_tokens=2)
        assert caught.value.plan is runtime.plan
        del ballast
        runtime.memory_usage()
        assert runtime.generate("upon", raw=True, max_tokens=2).text


def test_token_ids_are_a_prompt_too(smollm2_path: Path) -> None:
    with Runtime.open(smollm2_path, context_tokens=512) as runtime:
        prompt = "The capital of France is"
        ids = runtime.tokenize(prompt, add_special=True)
        by_text = runtime.generate(prompt, raw=True, max_tokens=8, temperature=0.0)
        by_ids = runtime.generate(ids, max_tokens=8, temperature=0.0)
        assert by_ids.text == by_text.text and by_ids.usage.prompt_tokens == by_text.usage.prompt_tokens
        for wrong in ([-1], [49152], ["a"], [1.5]):
            with pytest.raises(OptionInvalid, match="no token id"):
                runtime.generate(wrong)  # type: ignore[arg-type]


def test_a_damaged_file_is_ours_to_report(smollm2_path: Path, tmp_path: Path) -> None:
    whole = smollm2_path.read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"not a model" * 9}.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(data)
        with pytest.raises(ModelFileInvalid, match=name):
            Runtime.open(path)


def test_what_llama_cpp_refuses_is_reported_with_its_words(tmp_path: Path) -> None:
    """A sound file without what its architecture needs: our checks pass it, the guard's child does not."""
    path = tmp_path / "odd.gguf"
    sound = tiny_llama_gguf()
    path.write_bytes(sound.replace(b"blk.1.ffn_gate.weight", b"blk.1.ffn_gone.weight"))
    with pytest.raises(ModelLoadFailed, match="ffn_gate"):
        Runtime.open(path)
    path.write_bytes(sound)
    with Runtime.open(path, context_tokens=32) as runtime:
        assert runtime.generate("a", raw=True, max_tokens=3, ignore_end=True).usage.completion_tokens == 3


async def test_asyncio_tasks_share_the_model(smollm2_path: Path) -> None:
    async with await AsyncRuntime.open(smollm2_path, context_tokens=256, parallel=2) as runtime:
        both = await asyncio.gather(
            runtime.generate("One two", raw=True, temperature=0, max_tokens=8),
            runtime.generate("Monday Tuesday", raw=True, temperature=0, max_tokens=8),
        )
        assert all(reply.usage.completion_tokens == 8 for reply in both)
        async with await runtime.chat(ask("Hi"), stream=True, temperature=0, max_tokens=6) as stream:
            pieces = [piece.text async for piece in stream]
        assert "".join(pieces) == (await stream.result()).text
        assert (await runtime.embed(["a"])).shape == (1, 576)


async def test_cancelling_a_task_frees_its_slot(smollm2_path: Path) -> None:
    async with await AsyncRuntime.open(smollm2_path, context_tokens=512) as runtime:
        task = asyncio.create_task(runtime.generate("Endless:", raw=True, ignore_end=True))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        reply = await asyncio.wait_for(runtime.generate("Hi", raw=True, max_tokens=2, ignore_end=True), 20)
        assert reply.usage.completion_tokens == 2
