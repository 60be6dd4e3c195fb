// What `make bench-console` looks at from inside the page. It is put in before anything of the page runs; the page knows nothing of it.
//
// Painted is what stood in the document when the browser called back before a picture, once it calls back for the next one.
export function probe() {
  /** Rows that nobody has asked for yet; more are not kept. */
  const MOST = 20_000;
  /** What is waited for: a condition, the moment from which it counts, and whom to tell. */
  const waiting = new Map();
  /** Milliseconds since 1970 at which rows of the list were painted in view, by alert. */
  let painted = new Map();
  /** The key that is awaited. */
  let onKey;

  const find = (selector) => document.querySelector(selector);
  const selected = () => find('[data-test=list] [aria-selected=true]')?.dataset.alert;
  /** What was there when the key was pressed. */
  const before = { selected: undefined, alert: '' };
  const conditions = {
    form: () => find('#account'),
    live: () => find('[data-test=stream].good') && find('[data-test=alert]'),
    selected: () => selected() !== undefined && selected() !== before.selected,
    opened: () => find('[data-test=panel]') && location.pathname !== before.alert,
    told: () => find('[data-test=panel] [data-test=case-state]') && find('[data-test=same-place] :is(li, p)'),
    closed: () => !find('[data-test=panel]'),
    hazards: () => find('[data-test=list] [data-test=alert]'),
    cases: () => find('[data-test=case-list] [data-test=case]'),
    history: () => find('[data-test=history] [data-test=past-case]'),
    statistics: () => find('[data-test=chart] canvas, [data-test=chart] svg'),
    cameras: () => find('[data-test=cameras] [data-test=camera]'),
    map: () => find('[data-test=map]') && find('[data-test=tree]'),
  };

  const afterPaint = (then) => {
    requestAnimationFrame(() => requestAnimationFrame(then));
  };

  /** Waits until a condition holds and is painted; tells how long that took from a moment of this page's clock on. */
  function wait(name, since) {
    const one = { since, met: false };
    one.done = new Promise((resolve) => {
      one.resolve = resolve;
    });
    waiting.set(name, one);
    look();
  }

  function look() {
    for (const [name, one] of waiting) {
      if (one.met || !conditions[name]()) continue;
      one.met = true;
      afterPaint(() => {
        one.resolve(performance.now() - one.since);
      });
    }
  }

  function rowsOf(node) {
    if (!(node instanceof HTMLElement)) return [];
    return node.matches('[data-test=alert]') ? [node] : [...node.querySelectorAll('[data-test=alert]')];
  }

  function inView(row) {
    const list = find('[data-test=list]')?.getBoundingClientRect();
    const { top, bottom } = row.getBoundingClientRect();
    return row.isConnected && list !== undefined && top >= list.top - 1 && bottom <= list.bottom + 1;
  }

  new MutationObserver((changes) => {
    const rows = changes.flatMap((change) => [...change.addedNodes].flatMap(rowsOf));
    if (rows.length > 0) {
      afterPaint(() => {
        const at = Date.now();
        for (const row of rows) {
          const id = row.dataset.alert;
          if (painted.size < MOST && !painted.has(id) && inView(row)) painted.set(id, at);
        }
      });
    }
    look();
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['class', 'aria-selected'] });

  window.addEventListener(
    'keydown',
    (event) => {
      const name = onKey;
      onKey = undefined;
      if (name === undefined) return;
      before.selected = selected();
      before.alert = find('[data-test=panel]') ? location.pathname : '';
      // After the page has heard the key: what it changes at once is seen by the observer, what holds already by this.
      wait(name, event.timeStamp);
    },
    true,
  );

  wait('form', 0);
  wait('live', 0);

  window.bench = {
    /** The next key that is pressed counts for a condition. */
    arm(name) {
      waiting.delete(name);
      onKey = name;
    },
    /** How long it took. */
    result: (name) => waiting.get(name)?.done,
    /** What was painted since this was asked last. */
    painted() {
      const taken = [...painted];
      painted = new Map();
      return taken;
    },
    /** The firing alerts in view from the top down, and what the page says of those that are not. */
    top() {
      const list = find('[data-test=list]');
      const rows = [...document.querySelectorAll('[data-test=alert] > :not(.ended)')]
        .filter((row) => inView(row))
        .map((row) => ({ top: row.getBoundingClientRect().top, level: Number(/\bl(\d)\b/.exec(row.className)?.[1]) }));
      rows.sort((a, b) => a.top - b.top);
      return {
        levels: rows.map((row) => row.level),
        at_top: list?.scrollTop === 0,
        firing: Number(find('[data-desk=hazards] .count')?.textContent),
        pop_ups: document.querySelectorAll('[data-test=popup]').length,
      };
    },
  };
}
