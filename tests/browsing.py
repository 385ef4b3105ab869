"""Opens pages of the built book in headless Chromium and writes down what a reader would meet there."""

import asyncio
import functools
import gzip
import http.server
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium

SUMMARY = "the book in a browser"  # the property of a test whose value the run says at its end
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}
AT_ONCE = 2  # pages open at the same time: as many as the smallest machine has cores
PACKED = {".css", ".html", ".js", ".json", ".svg"}  # what a server sends gzipped; the rest is compressed already

SETTLE = """async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  document.querySelectorAll('details').forEach(element => element.open = true);
  const open = [...document.images].filter(image => !image.complete);
  await Promise.race([
    Promise.all(open.map(image => new Promise(done => { image.onload = image.onerror = done; }))),
    new Promise(done => setTimeout(done, 5000)),
  ]);
  const painted = done => new PerformanceObserver(list =>
    list.getEntriesByName('first-contentful-paint').length && done()).observe({type: 'paint', buffered: true});
  await Promise.race([new Promise(painted), new Promise(done => setTimeout(done, 10000))]);
}"""
LOOK = r"""() => {
  const formulas = [...document.querySelectorAll('.math')];
  const unset = formulas.filter(element => !element.querySelector('mjx-container')).map(element => element.textContent);
  unset.push(...[...document.querySelectorAll('mjx-merror')].map(element => element.textContent));
  const walker = document.createTreeWalker(document.querySelector('article') || document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest('pre, code, script, style, mjx-container, .math')) continue;
    unset.push(...(node.data.match(/\$[^$\n]*[\\_^=][^$\n]*\$/g) || []));
  }
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return {
    unset: unset.map(text => text.slice(0, 60)),
    formulas: formulas.length,
    unloaded: [...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src),
    first_paint: paint ? Math.round(paint.startTime) : -1,
    links: [...document.querySelectorAll('a[href]')].map(link => link.href),
  };
}"""
SIDEWAYS = """() => {
  const root = document.scrollingElement, over = root.scrollWidth - window.innerWidth;
  if (over <= 0) return [];
  const boxed = element => {
    for (let box = element.parentElement; box && box.tagName != 'ARTICLE'; box = box.parentElement)
      if (getComputedStyle(box).overflowX != 'visible') return true;
    return false;
  };
  const wide = [...document.querySelectorAll('article *')].filter(
    element => element.getBoundingClientRect().right > window.innerWidth + 1 && !boxed(element));
  return [`${over} px`, ...wide.slice(0, 3).map(element => `${element.tagName}.${element.className}`)];
}"""
# Two rules look at colors and take most of the time. What they say of a text depends on its color, size and weight and
# on what lies behind it; of a link also on the text around it. So one of each kind is enough, and a page of highlighted
# code has few kinds.
ONE_OF_EACH = r"""() => {
  document.querySelectorAll('[data-one]').forEach(element => element.removeAttribute('data-one'));
  const seen = new Set(), behind = new Map();
  const backs = element => {
    if (!element) return '';
    if (!behind.has(element)) {
      const style = getComputedStyle(element);
      const own = [style.backgroundColor, style.backgroundImage, style.opacity].join();
      behind.set(element, (/^rgb\(/.test(style.backgroundColor) ? '' : backs(element.parentElement)) + own);
    }
    return behind.get(element);
  };
  const looks = element => {
    const style = getComputedStyle(element);
    return [style.color, style.fontSize, style.fontWeight, style.textShadow, backs(element)].join('|');
  };
  const around = link => {
    let block = link.parentElement;
    while (getComputedStyle(block).display.startsWith('inline')) block = block.parentElement;
    const line = getComputedStyle(link).textDecorationLine;
    return [line, looks(block), block.textContent.trim() == link.textContent.trim()].join('|');
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, link = element.closest('a');
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const kind = looks(element) + (link ? around(link) : '');
    if (seen.has(kind)) continue;
    (link || element).dataset.one = element.dataset.one = seen.add(kind).size;
  }
  return seen.size;
}"""
AXE = """async ([context, options]) => (await axe.run(context, options)).violations
  .filter(violation => ['serious', 'critical'].includes(violation.impact))
  .map(violation => `${violation.id}: ${violation.nodes.slice(0, 3).map(node => node.target).join('; ')}`
    + ` (${violation.nodes.length})`)"""
# Without `preload`, which asks for every style sheet once more, by addresses that are wrong for imported ones.
OPTIONS = {"resultTypes": ["violations"], "preload": False}
BY_COLOR = ["color-contrast", "link-in-text-block"]
ALL_BUT_COLOR = [{"exclude": []}, OPTIONS | {"rules": {rule: {"enabled": False} for rule in BY_COLOR}}]
# Dark mode changes colors and nothing else, so only these rules can come out otherwise.
COLOR = [{"include": [["[data-one]"]]}, OPTIONS | {"runOnly": BY_COLOR}]


@dataclass
class Visit:
    """What happened on one page."""

    page: str
    errors: list[str] = field(default_factory=list)  # on the console, or thrown
    failed: list[str] = field(default_factory=list)  # requests without a good answer
    elsewhere: list[str] = field(default_factory=list)  # requests to another host
    formulas: int = 0
    unset: list[str] = field(default_factory=list)  # mathematics that is still source text
    unloaded: list[str] = field(default_factory=list)  # images without pixels
    sideways: list[str] = field(default_factory=list)  # by how much a phone scrolls, and because of what
    light: list[str] = field(default_factory=list)  # axe-core's serious and critical violations
    dark: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    raw: int = 0  # bytes, pictures of the page itself aside
    gzipped: int = 0
    first_paint: int = -1  # milliseconds
    seconds: float = 0.0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder to this machine; yields the address, with a slash at the end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@functools.cache
def weight(file: Path) -> tuple[int, int]:
    """Bytes of a file, and of the same gzipped where a server would do that."""
    content = file.read_bytes()
    return len(content), len(gzip.compress(content, 6)) if file.suffix in PACKED else len(content)


def watch(page, visit: Visit, base: str, folder: Path) -> None:
    """Write down what the page asks for, and what it complains about, from now on."""
    fetched: set[str] = set()

    def on_request(request) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            visit.elsewhere.append(request.url[:100])

    def on_response(response) -> None:
        path = unquote(urlsplit(response.url).path).lstrip("/")
        if response.status >= 400:
            visit.failed.append(f"{response.status} {path}")
        own_picture = response.request.resource_type == "image" and "/_images/" in f"/{path}"
        if response.url.startswith(base) and path not in fetched and not own_picture and (folder / path).is_file():
            fetched.add(path)
            raw, packed = weight(folder / path)
            visit.raw, visit.gzipped = visit.raw + raw, visit.gzipped + packed

    page.on("request", on_request)
    page.on("response", on_response)
    page.on("requestfailed", lambda request: visit.failed.append(f"{request.failure} {request.url[-80:]}"))
    page.on("pageerror", lambda error: visit.errors.append(str(error)[:200]))
    page.on(
        "console",
        lambda message: visit.errors.append(message.text[:200]) if message.type in ("error", "assert") else None,
    )


async def _look(context, base: str, folder: Path, name: str) -> Visit:
    from axe_playwright_python.base import AXE_SCRIPT

    visit, start = Visit(name), time.perf_counter()
    page = await context.new_page()
    watch(page, visit, base, folder)
    await page.goto(f"{base}{name}", wait_until="load")
    await page.evaluate(SETTLE)
    for key, value in (await page.evaluate(LOOK)).items():
        setattr(visit, key, value)
    await page.evaluate(AXE_SCRIPT)
    visit.light = await page.evaluate(AXE, ALL_BUT_COLOR)
    await page.evaluate(ONE_OF_EACH)
    visit.light += await page.evaluate(AXE, COLOR)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    await page.wait_for_function("(document.documentElement.dataset.theme || 'dark') == 'dark'", timeout=10_000)
    await page.wait_for_timeout(250)
    await page.evaluate(ONE_OF_EACH)
    visit.dark = await page.evaluate(AXE, COLOR)
    await page.set_viewport_size(PHONE)
    visit.sideways = await page.evaluate(SIDEWAYS)
    await page.close()
    visit.seconds = round(time.perf_counter() - start, 2)
    return visit


async def _look_at_all(base: str, folder: Path, names: list[str]) -> dict[str, Visit]:
    from playwright.async_api import async_playwright

    free = asyncio.Semaphore(AT_ONCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        context = await browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")
        context.set_default_timeout(120_000)

        async def one(name: str) -> Visit:
            async with free:
                return await _look(context, base, folder, name)

        visits = await asyncio.gather(*map(one, names))
        await browser.close()
    return {visit.page: visit for visit in visits}


def look(folder: Path, names: Iterable[str]) -> dict[str, Visit]:
    """Visit pages of a folder, given by their paths in it, first in light, then in dark, then on a phone."""
    with served(folder) as base:
        return asyncio.run(_look_at_all(base, folder, list(names)))
