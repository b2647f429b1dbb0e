// Times in the reader's zone, and pages that refresh while they are visible. Every page works without this module.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Show each time in the reader's zone; its title has UTC. */
function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = format.format(moment);
      time.title = `${time.title.split(" (")[0]} (shown in ${zone})`;
    }
  }
}

/** Return whether the reader is filling in a form, selecting, or has a part open: a refresh would disturb. */
function isBusy(main) {
  const field = document.activeElement;
  const isFilling = main.contains(field) && /^(INPUT|SELECT|TEXTAREA)$/.test(field.tagName);
  const hasSelection = main.contains(getSelection()?.anchorNode ?? null) && !getSelection().isCollapsed;
  return isFilling || hasSelection || main.querySelector("details[open], dialog[open], input:checked") !== null;
}

/** Return what finds an element in the same page, read again: positions change when lines are added. */
function nameOf(element) {
  const text = element.matches("a, button, summary") ? element.textContent.trim() : "";
  return [element.tagName, ...["id", "href", "name", "aria-label"].map((each) => element.getAttribute(each)), text].join();
}

/** Return the elements that have the name of an element. */
function namesakes(element, main) {
  return [...main.querySelectorAll(element.tagName)].filter((each) => nameOf(each) === nameOf(element));
}

/** Replace the content, and keep the focus and how far tables are scrolled sideways. */
function replaceContent(main, fresh) {
  const focused = document.activeElement !== main && main.contains(document.activeElement) ? document.activeElement : null;
  const index = focused === null ? -1 : namesakes(focused, main).indexOf(focused);
  const scrolled = [...main.querySelectorAll(".scroll")].map((each) => [each, each.scrollLeft]);
  main.replaceChildren(...fresh.childNodes);
  for (const [table, left] of scrolled) {
    namesakes(table, main)[0]?.scrollTo({ left });
  }
  if (focused !== null) {
    const same = namesakes(focused, main);
    (same[index] ?? same.at(-1) ?? main).focus({ preventScroll: true });
  }
}

/** Replace the content of the page by the same page, read again. */
async function refresh() {
  const main = document.querySelector("main");
  const response = await fetch(location.href, { headers: { "x-console-refresh": "1" }, cache: "no-store" });
  if (response.redirected) { // the session has ended
    location.assign(response.url);
    return;
  }
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("main");
  if (fresh === null || isBusy(main)) {
    return;
  }
  const message = main.querySelector(":scope > .message");
  replaceContent(main, fresh);
  main.toggleAttribute("data-refresh", fresh.hasAttribute("data-refresh"));
  main.dataset.refresh = fresh.dataset.refresh ?? "";
  if (message !== null && main.querySelector(":scope > .message") === null) {
    main.prepend(message); // of the last action: read once
  }
  showLocalTimes(main);
}

/** Refresh after the seconds that the page names, while it is visible. */
async function keepFresh() {
  for (;;) {
    const seconds = Number(document.querySelector("main").dataset.refresh);
    if (!seconds) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (document.visibilityState === "visible") {
      await refresh().catch(() => undefined); // the gateway restarts: try again
    }
  }
}

showLocalTimes(document);
keepFresh();
