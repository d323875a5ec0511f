"""The dashboard as Chromium shows it."""

import asyncio
import os
import shutil
import signal
from contextlib import asynccontextmanager
from importlib.util import find_spec

import pytest
from langgraph_sdk import get_client

from callboard import Runtime
from tests.executors.graphs import Gate
from tests.server.house import AGENTS, gated, serving, story
from tests.server.test_auth import by_key
from tests.server.test_restart import Project

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 40_000
"""Milliseconds after which what a page should show does not come."""

HOSTILE = '<img src=x onerror="document.title=1"><b>&amp;</b>"\'<script>document.title=2</script>'

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const channels = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const back = node => {
    const color = channels(getComputedStyle(node).backgroundColor);
    return color[3] === 255 || !node.parentElement ? color : back(node.parentElement);
  };
  const found = {};
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest("script")) continue;
    const [a, b] = [channels(getComputedStyle(node).color), back(node)].map(light);
    found[`${node.id || node.className || node.localName}: ${text.data.slice(0, 20)}`] =
      (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}"""
"""The contrast of every text on the page, as WCAG has it: from 1 to 21; 4.5 can be read."""

REGAINED = """() => new Promise(told => {
  const line = document.getElementById("connection");
  new MutationObserver(() => line.textContent === "Connected again." && told())
    .observe(line, {childList: true});
})"""
"""Waits until the page says so: it does not say it for long."""


@pytest.fixture(scope="session")
def chromium():
    """The path of the installed Chromium.

    Without it, or without playwright, such tests are skipped, but for
    CALLBOARD_REQUIRE_CHROMIUM=1: then they fail.
    """
    path, missing = shutil.which("chromium"), None
    if find_spec("playwright") is None:
        missing = "no playwright: pip install 'callboard[test]'"
    elif path is None:
        missing = "no Chromium: the PATH has no chromium"
    if missing is not None:
        if os.environ.get("CALLBOARD_REQUIRE_CHROMIUM") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return path


@asynccontextmanager
async def looking(chromium, url, *, viewport=DESKTOP, **options):
    """A page of the dashboard, on which no script fails and nothing is forbidden."""
    from playwright.async_api import async_playwright

    faults = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE
        )
        try:
            context = await browser.new_context(viewport=viewport, **options)
            context.set_default_timeout(PATIENCE)
            page = await context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text))
            await page.goto(url)
            yield page
        finally:
            await browser.close()
    # Chromium itself tells of answers that are errors; what the page makes of them is tested.
    assert [fault for fault in faults if not fault.startswith("Failed to load resource")] == []


def shows(page, selector, text):
    """Wait until a text is shown."""
    from playwright.async_api import expect

    return expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE)


def counts(page, selector, number):
    """Wait until there are so many."""
    from playwright.async_api import expect

    return expect(page.locator(selector)).to_have_count(number, timeout=PATIENCE)


class Talker:
    """An agent that says what it is told to, until it is told `None`."""

    def __init__(self):
        self.words = asyncio.Queue()

    async def __call__(self, run):
        while (word := await self.words.get()) is not None:
            yield "custom", word


@story
async def test_a_run_appears_its_stream_grows_and_its_events_are_listed(chromium):
    talker = Talker()
    async with serving({"talker": talker}) as served, looking(chromium, served.url) as page:
        await shows(page, "#nothing", f"curl {served.url}/runs/wait")
        await shows(page, "#nothing", '"assistant_id": "talker"')

        run = await served.runtime.create_run("a thread", "talker")
        await served.runtime.create_run("a thread", "talker", multitask_strategy="enqueue")
        await shows(page, "#tree", "place 1 in the queue")
        await page.locator(".run", has_text=run.run_id).click()
        talker.words.put_nowait("once")
        await shows(page, "#stream li:last-child", '"once"')
        talker.words.put_nowait("twice")
        await shows(page, "#stream li:last-child", '"twice"')
        await shows(page, "#events li:last-child", "run_started")
        await shows(page, "#streaming", "3 frames · live")
        talker.words.put_nowait(None)

        await shows(page, "#streaming", "4 frames · ended")
        await shows(page, "#events", "run_completed")
        await shows(page, "#status", "success")
        await counts(page, "#tree .run", 1)  # the other's turn has come
        await counts(page, "#recorded li", 2)


@pytest.mark.parametrize(
    ("button", "said", "status", "attempt"),
    [
        ("Abort", "Aborted: the run ended with the status interrupted.", "interrupted", 1),
        ("Fail", "Failed: the run ended with the status error.", "error", 1),
        ("Restart", "Restarted: attempt 2 is under way.", "running", 2),
    ],
)
@story
async def test_a_button_does_what_it_says_and_tells_what_became_of_it(
    chromium, button, said, status, attempt
):
    gate = Gate()
    async with serving(gated(slow=gate)) as served, looking(chromium, served.url) as page:
        run = await served.runtime.create_run("a thread", "slow", input={"path": []})
        await page.locator(".run").click()
        await gate.entered.wait()
        gate.may_unwind.clear()

        await page.get_by_role("button", name=button).click()
        await gate.unwinding.wait()
        await shows(page, "#said", "waiting for the agent to unwind")
        gate.may_unwind.set()

        await shows(page, "#said", said)
        await shows(page, "#facts", f"Attempt{attempt}")
        await shows(page, "#status", status)
        kept = await served.runtime.get_run(run.run_id)
        assert (kept.status, kept.attempt) == (status, attempt)


@story
async def test_what_the_server_refuses_is_told(chromium):
    gate = Gate()
    async with serving(gated(slow=gate)) as served, looking(chromium, served.url) as page:
        run = await served.runtime.create_run("a thread", "slow", input={"path": []})
        await page.locator(".run").click()
        await gate.entered.wait()
        gate.may_unwind.clear()
        await served.runtime.cancel(run.run_id)
        await gate.unwinding.wait()

        await page.get_by_role("button", name="Fail").click()

        await shows(page, "#said.bad", f"Run '{run.run_id}' has ended already, or is about to.")
        gate.may_unwind.set()


@story
async def test_text_from_outside_stays_text(chromium):
    async def hostile(run):
        yield HOSTILE, {HOSTILE: HOSTILE}
        raise ValueError(HOSTILE)

    async with serving({HOSTILE: hostile}) as served, looking(chromium, served.url) as page:
        run = await served.runtime.create_run(HOSTILE, HOSTILE, run_id=HOSTILE.replace("/", "|"))
        await served.runtime.wait(run.run_id)
        await page.locator("#tree a", has_text=HOSTILE).click()
        await page.locator("#recorded a", has_text=run.run_id).click()

        for place in ("#title", "#facts", "#thread-id", "#stream", "#example"):
            await shows(page, place, HOSTILE)
        await shows(page, "#events", "ValueError: <img src=x")
        await counts(page, "main :is(img, script, p b, code *)", 0)
        assert await page.title() == "callboard"


@story
async def test_a_long_stream_and_a_long_frame_are_kept_in_part(chromium):
    talker = Talker()
    async with serving({"talker": talker}) as served, looking(chromium, served.url) as page:
        run = await served.runtime.create_run("a thread", "talker")
        await page.goto(f"{served.url}#run/{run.run_id}")
        talker.words.put_nowait("long " * 1_000_000)
        for number in range(2_000):
            talker.words.put_nowait(number)
        await shows(page, "#streaming", "2,002 frames, the last 500 here · live")
        await counts(page, "#stream li", 500)
        await shows(page, "#stream li:last-child", "1999")
        talker.words.put_nowait("long " * 1_000_000)

        await shows(page, "#stream li:last-child", "more characters")
        assert len(await page.locator("#stream li:last-child").inner_text()) < 2_200
        await counts(page, "#stream li", 500)
        talker.words.put_nowait(None)


@story
async def test_a_phone_needs_no_sideways_scrolling(chromium):
    talker, long = Talker(), "word" * 60
    async with (
        serving({long: talker}) as served,
        looking(chromium, served.url, viewport=PHONE, is_mobile=True, has_touch=True) as page,
    ):
        talker.words.put_nowait({long: long})
        await served.runtime.create_run(long, long, run_id=long)
        width = "document.documentElement.scrollWidth"

        await shows(page, "#tree .run", long)
        assert await page.evaluate(width) == PHONE["width"]
        await page.locator(".run").tap()
        await shows(page, "#stream", long)
        await shows(page, "#events", "run_started")
        await shows(page, "#recorded", long)
        assert await page.evaluate(width) == PHONE["width"]
        await page.get_by_role("link", name="Back to the tree").tap()
        await page.get_by_text("Choose a run to watch").wait_for()
        talker.words.put_nowait(None)


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
@story
async def test_the_page_has_the_colours_of_its_scheme_and_all_its_text_can_be_read(
    chromium, scheme, dark
):
    gate = Gate()
    agents = AGENTS() | gated(slow=gate)
    async with (
        serving(runtime=Runtime(agents, drain_timeout=0.0)) as served,
        looking(chromium, served.url, color_scheme=scheme) as page,
    ):
        for agent in ("approval", "failing"):
            run = await served.runtime.create_run(f"on {agent}", agent, input={"path": []})
            await served.runtime.wait(run.run_id)
        for _ in range(2):
            await served.runtime.create_run(
                "slow", "slow", input={"path": []}, multitask_strategy="enqueue"
            )
        await page.locator(".run", has_text="executing").click()
        await shows(page, "#events", "run_started")
        await shows(page, "#tree", "interrupted")
        await shows(page, "#recorded", "pending")

        contrasts = await page.evaluate(CONTRASTS)
        back = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

        assert len(contrasts) > 40
        assert {text: value for text, value in contrasts.items() if value < 4.5} == {}
        assert (back == "rgb(18, 20, 23)") is dark
        gate.open.set()


@story
async def test_a_keyboard_reaches_everything_and_keeps_its_place_while_the_tree_is_redrawn(
    chromium,
):
    gate = Gate()
    async with serving(gated(slow=gate)) as served, looking(chromium, served.url) as page:
        first = await served.runtime.create_run("first", "slow", input={"path": []})
        second = await served.runtime.create_run("second", "slow", input={"path": []})
        await counts(page, ".run", 2)
        for label in ("Find", "first", "slow", "second", "slow"):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            name = await focused.get_attribute("aria-label") or await focused.inner_text()
            assert name.startswith(label)
        await served.runtime.cancel(first.run_id)
        await shows(page, "#tree > li:last-child", "first")  # which has changed places

        await page.keyboard.press("Enter")
        await shows(page, "#run-id", second.run_id)
        await shows(page, "#status", "running")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await shows(page, "#said", "Aborted")
        assert (await served.runtime.get_run(second.run_id)).status == "interrupted"


@story
async def test_threads_are_found_by_what_is_typed(chromium):
    async with serving() as served, looking(chromium, served.url) as page:
        for name in ("apples", "pears"):
            await served.runtime.create_run(name, "echo", input={})
        await counts(page, "#tree > li", 2)

        await page.get_by_role("searchbox").fill("PEAR")
        await counts(page, "#tree > li", 1)
        await shows(page, "#tree", "pears")
        await page.get_by_role("searchbox").fill("plums")

        await shows(page, "#more", "Nothing in memory has that")


@story
async def test_an_operator_gives_a_key_and_others_are_told_that_they_may_not(chromium):
    guarded = {"authenticate": by_key, "operators": ["ann"]}
    async with serving(**guarded) as served, looking(chromium, served.url) as page:
        await served.runtime.create_run("bob's thread", "echo", input={}, user_id="bob")

        await page.get_by_role("textbox", name="API key").fill("bob's key")
        await page.keyboard.press("Enter")
        await shows(page, "#connection", "This is for operators")
        await page.evaluate("sessionStorage.clear()")
        await page.reload()
        await page.get_by_role("textbox", name="API key").fill("ann's key")
        await page.keyboard.press("Enter")

        await shows(page, "#tree", "bob's thread")


@story
async def test_a_lost_connection_is_told_and_the_page_goes_on_when_the_server_is_back(
    chromium, tmp_path
):
    project, a = Project(tmp_path), '{"pages":["a"]}'
    async with (
        get_client(url=project.url) as client,
        project.served() as first,
        looking(chromium, project.url) as page,
    ):
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(
            thread_id, "writer", input={"pages": []}, stream_resumable=True, durability="sync"
        )
        await page.locator(".run", has_text=run["run_id"]).click()
        await shows(page, "#stream", a)
        first.send_signal(signal.SIGKILL)
        await first.wait()

        await shows(page, "#connection", "Connection lost at")
        await shows(page, "#streaming", "trying again")
        told = asyncio.create_task(page.evaluate(REGAINED))
        project.gate.touch()
        async with project.served():
            await told
            await shows(page, "#health", "healthy")
            await shows(page, "#status", "success")
            await shows(page, "#streaming", "ended")
            await shows(page, "#stream li:last-child", "end")
            assert (await page.locator("#stream").inner_text()).count(
                '{"pages":[]}'
            ) == 1  # none twice
