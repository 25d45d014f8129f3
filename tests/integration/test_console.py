"""The console in a real browser: by the keyboard, live, without script, in the dark and on a phone."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from streams.stores.database import open_database
from streams.stores.roles import Role
from tests.api.console_house import HOSTILE, house_over, served
from tests.history.timelines import a_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.api.console_house import House

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
CHECKS = Path(__file__).with_name("console_checks.js")
LOADED = "Failed to load resource"
"""What the browser says of a page with a status of 400 or more: those are asked for on purpose."""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for all tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied."""
    path = tmp_path_factory.mktemp("template") / "cases.db"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Iterator[House]:
    """A console with cases, and with events of every borrower."""
    shutil.copy(template, tmp_path / "cases.db")
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        yield house_over(database, timeline=a_view())


@pytest.fixture
def address(house: House) -> Iterator[str]:
    """Where it is served."""
    with served(house.app) as url:
        yield url


class Desktop:
    """Opens pages that are watched: nothing may be refused, broken, or fetched from elsewhere."""

    def __init__(self, browser: Browser, address: str, house: House) -> None:
        self._browser, self._address, self._house = browser, address, house
        self._pages: list[Page] = []
        self.faults: list[str] = []

    def page(self, role: Role | None = Role.COLLECTOR, **how: Any) -> Page:
        """A page of a window of its own; signed in, if a role is given."""
        context = self._browser.new_context(base_url=f"{self._address}/", **how)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", self._heard)
        page.on("request", self._asked)
        if how.get("java_script_enabled", True):
            page.add_init_script(path=CHECKS)
        self._pages.append(page)
        if role is not None:
            page.goto("sign-in")
            page.get_by_label("API key").fill(self._house.keys[role])
            page.get_by_label("API key").press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")
        return page

    def case(self, borrower: str) -> str:
        """The address of a case."""
        return f"cases/{self._house.cases[borrower]}"

    def close(self) -> None:
        """Close all, and let nothing pass that went wrong."""
        for page in self._pages:
            with contextlib.suppress(Exception):  # A page without script cannot be asked.
                self.faults += page.evaluate("window.violations")
            page.context.close()
        assert [] == self.faults

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and LOADED not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self._address).netloc:
            self.faults.append(f"asked {request.url}")


@pytest.fixture
def desktop(browser: Browser, address: str, house: House) -> Iterator[Desktop]:
    """Windows that are watched."""
    made = Desktop(browser, address, house)
    yield made
    made.close()


def test_a_day_at_the_keyboard(desktop: Desktop, house: House) -> None:
    """Sign in, open a case, write a note and a promise down, and find it on the board, without a mouse."""
    page = desktop.page(role=None)
    keys = page.keyboard
    page.goto("inbox")
    expect(page.get_by_label("API key")).to_be_focused()
    keys.type(house.keys[Role.COLLECTOR])
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")
    keys.press("j")
    keys.press("j")
    keys.press("k")
    first = page.locator("[data-row]").first
    expect(first).to_be_focused()
    borrower = first.inner_text()
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(borrower)
    keys.press("n")
    keys.type("Called, will pay on Friday. g b /")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator(".notes .said")).to_have_text("Called, will pay on Friday. g b /")
    keys.press("p")
    expect(page.get_by_label("Loan", exact=True).first).to_be_focused()
    keys.press("Tab")
    keys.type("10.00")
    keys.press("Tab")
    keys.type("03092026")
    keys.press("Enter")
    expect(page.locator("#promises + ul")).to_contain_text("CN¥10.00 on l-1 by 9 Mar 2026")
    keys.press("g")
    keys.press("b")
    expect(page.get_by_role("heading", level=1)).to_have_text("Board")
    expect(page.locator(".card", has_text=borrower)).to_contain_text("promise to pay")
    keys.press("/")
    keys.type(borrower)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(borrower)


def test_what_another_does_is_seen_at_once(desktop: Desktop, house: House) -> None:
    """The case and the board change under one's eyes; a form in which somebody types stays as it is."""
    case, board = desktop.page(), desktop.page()
    case.goto(desktop.case("b-1"))
    board.goto("board")
    for page in (case, board):
        expect(page.locator("body")).to_have_attribute("data-hears", "yes")
    case.get_by_role("textbox", name="Note").first.fill("I am just writing")
    house.act("b-1", "hold", until="2026-03-06T00:00:00Z", reason="moves house")
    expect(case.locator(".casehead")).to_contain_text("on hold")
    expect(case.locator("#changed")).to_contain_text("What you are typing is kept")
    expect(case.get_by_role("textbox", name="Note").first).to_have_value("I am just writing")
    expect(board.locator(".card", has_text="b-1")).to_contain_text("paused: hold")
    expect(board.locator("#changed")).to_have_text("Changed just now.")


def test_a_stale_form_loses_nothing(desktop: Desktop, house: House) -> None:
    """Who comes second sees what the first did, finds what they typed, and sends it again."""
    page = desktop.page()
    page.goto(desktop.case("b-1"))
    page.get_by_role("textbox", name="Note").first.fill("Second thoughts")
    house.act("b-1", "note", text="First!")
    expect(page.locator(".notes")).to_contain_text("First!")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The case was changed in the meantime")
    expect(page.locator("#meanwhile + ol")).to_contain_text("other case: noted")
    expect(page.get_by_role("textbox", name="Note")).to_have_value("Second thoughts")
    page.get_by_role("button", name="Add note all the same").click()
    for text in ("Second thoughts", "First!"):
        expect(page.locator(".notes")).to_contain_text(text)


def test_markup_is_text(desktop: Desktop) -> None:
    """What looks like HTML in alerts and notes is read, and nothing of it runs."""
    page = desktop.page()
    page.goto(desktop.case("b-1"))
    page.get_by_role("textbox", name="Note").first.fill(HOSTILE)
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".notes .said")).to_have_text(HOSTILE)
    expect(page.locator(".alert").first).to_contain_text(HOSTILE)
    page.goto(f"search?q={HOSTILE}")
    expect(page.locator("main")).to_contain_text(HOSTILE)


def test_everything_works_without_script(desktop: Desktop) -> None:
    """Links, filters and forms are plain HTML."""
    page = desktop.page(java_script_enabled=False)
    page.get_by_label("Severity").select_option("critical")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("main")).to_contain_text("No open alert is like this.")
    page.goto(desktop.case("b-2"))
    page.get_by_role("button", name="Take this case").click()
    expect(page.locator(".facts")).to_contain_text("collector")
    page.get_by_text("Promise to pay", exact=True).click()
    page.get_by_label("To be paid by").fill("2026-03-09")
    page.get_by_role("button", name="Write the promise down").click()
    expect(page.locator(".casehead")).to_contain_text("promise to pay")


PAGES = ("inbox", "board", "cases", "approvals", "detectors", "help", "search?q=x", "borrowers/b-1", "CASE")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_page_can_be_read_by_all(desktop: Desktop, house: House, mode: str) -> None:
    """Labels, names, headings, unique ids, headings of tables; each text's contrast, as the browser paints it."""
    house.act("b-1", "request_approval", step="litigation", reason="no answer")
    house.act("b-1", "judge", verdict="confirmed_risk")
    page = desktop.page(Role.ADMIN, color_scheme=mode)
    for name in PAGES:
        page.goto(desktop.case("b-1") if name == "CASE" else name)
        if name == "CASE":
            for form in page.locator("details").all():
                form.evaluate("one => { one.open = true; }")
        assert [] == page.evaluate("window.faults()"), name
        assert [] == page.evaluate("window.weak()"), name


def test_the_focus_is_seen_and_comes_in_order(desktop: Desktop) -> None:
    """The first Tab leads past the navigation; every focus has an outline of its own."""
    page = desktop.page()
    page.goto("board")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".card a").first).to_be_focused()
    width = page.locator(".card a").first.evaluate("one => getComputedStyle(one).outlineWidth")
    assert "3px" == width


def test_it_can_be_read_on_a_phone(desktop: Desktop) -> None:
    """No page is wider than the screen: what is wide scrolls within itself."""
    page = desktop.page(**PHONE)
    for name in PAGES:
        page.goto(desktop.case("b-1") if name == "CASE" else name)
        wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert 0 == wider, name


def test_the_timeline_is_drawn_and_told(desktop: Desktop) -> None:
    """Each kind of sign is in the drawing, and each in words in the table below it."""
    page = desktop.page()
    page.goto("borrowers/b-1")
    drawn = page.locator("svg.timeline")
    for kind in ("paid", "late", "unpaid", "ahead", "received", "returned", "hard"):
        expect(drawn.locator(f".m.{kind}").first).to_be_attached()
    expect(drawn.locator(".area.dpd")).to_be_attached()
    expect(drawn.locator(".line.balance")).to_be_attached()
    expect(drawn.locator("rect.bar.high").first).to_be_attached()
    page.get_by_text("The timeline as a table").click()
    table = page.locator("#as-table table")
    for words in (
        "paid in time",
        "30 days late",
        "unpaid",
        "sent back",
        "hard inquiry by bank-1",
        "days past due, the most",
    ):
        expect(table).to_contain_text(words)


def test_signing_out_ends_it(desktop: Desktop) -> None:
    """After signing out every page asks for the key again."""
    page = desktop.page()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_focused()
    page.goto("board")
    expect(page.get_by_label("API key")).to_be_visible()
