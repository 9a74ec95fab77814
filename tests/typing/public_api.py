"""Programs as an application writes them. mypy checks this file; nothing runs it."""

from __future__ import annotations

from edge_runtime import (
    AsyncRuntime,
    AsyncTextStream,
    ContextPolicy,
    Conversation,
    History,
    Message,
    Reply,
    Runtime,
    TextStream,
)


def messages_of_plain_dicts(runtime: Runtime) -> str:
    messages = [{"role": "user", "content": "Why is the sky blue?"}]
    answer = runtime.chat(messages).text
    messages.append({"role": "assistant", "content": answer})
    messages.append({"role": "user", "content": "And at night?"})
    return runtime.chat(messages, temperature=0.2, max_tokens=100).text


def messages_declared(runtime: Runtime, declared: list[dict[str, str]], typed: list[Message]) -> int:
    runtime.chat(declared, context_policy=ContextPolicy.STOP)
    runtime.chat(tuple(typed))
    return runtime.count_prompt_tokens(declared) + runtime.count_prompt_tokens(typed)


def stream_an_answer(runtime: Runtime) -> Reply:
    stream: TextStream = runtime.chat([{"role": "user", "content": "Hello"}], stream=True)
    for piece in stream:
        print(piece.text, end="", flush=True)  # noqa: T201
    return stream.result()


def one_prompt(runtime: Runtime) -> str:
    first: Reply = runtime.generate("Why is the sky blue?", system="Be brief.")
    second: Reply = runtime.generate("Once upon a time", raw=True, max_tokens=20)
    third: Reply = runtime.generate(runtime.tokenize("Once upon", add_special=True))
    return first.text + second.text + third.text


def tokens(runtime: Runtime, text: str) -> tuple[str, int]:
    ids: list[int] = runtime.tokenize(text)
    return runtime.detokenize(ids), runtime.vocabulary_size


def keep_a_conversation(runtime: Runtime) -> None:
    with History() as history, Conversation(runtime, history=history, system_prompt="Be brief.") as talk:
        for piece in talk.send("Why is the sky blue?"):
            print(piece, end="")  # noqa: T201
        answer: Reply = talk.send("And at night?").result()
        print(answer.text)  # noqa: T201
    with History() as history:
        for summary in history.conversations():
            saved = history.load(summary.id)
            Conversation.resume(runtime, history, saved).send("Go on").result()
        last = history.latest()
        if last is not None:
            Conversation.resume(runtime, history, last)
            history.delete(last)


async def without_blocking() -> str:
    async with await AsyncRuntime.open("smollm2-135m-instruct", budget="2GB") as runtime:
        messages = [{"role": "user", "content": "Hello"}]
        stream: AsyncTextStream = await runtime.chat(messages, stream=True)
        async for piece in stream:
            print(piece.text, end="")  # noqa: T201
        whole: Reply = await stream.result()
        count: int = await runtime.count_prompt_tokens(messages)
        return f"{whole.text} {count} of {runtime.context_tokens}"
