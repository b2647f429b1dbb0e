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

/** Return a path to an element by positions, so that the focus can move to the same place of the new content. */
function positionOf(element, main) {
  const path = [];
  for (let each = element; each !== main; each = each.parentElement) {
    path.unshift([...each.parentElement.children].indexOf(each));
  }
  return path;
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
  const focused = main.contains(document.activeElement) && document.activeElement !== main;
  const path = focused ? positionOf(document.activeElement, main) : [];
  const message = main.querySelector(":scope > .message");
  main.replaceChildren(...fresh.childNodes);
  main.toggleAttribute("data-refresh", fresh.hasAttribute("data-refresh"));
  main.dataset.refresh = fresh.dataset.refresh ?? "";
  if (message !== null && main.querySelector(":scope > .message") === null) {
    main.prepend(message); // of the last action: read once
  }
  showLocalTimes(main);
  if (focused) {
    path.reduce((element, index) => element?.children[index], main)?.focus();
  }
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
