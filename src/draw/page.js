'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const { tasks, edges, codes } = JSON.parse($('data').textContent);
  const svg = $('graph'), stage = $('stage'), panel = $('panel'), search = $('search'), matches = $('matches');
  const nodeOf = (index) => $('n' + index);
  const calm = matchMedia('(prefers-reduced-motion: reduce)');

  // What stands before and after each task.
  const before = tasks.map(() => []), after = tasks.map(() => []);
  edges.forEach(([from, to], edge) => { before[to].push({ task: from, edge }); after[from].push({ task: to, edge }); });

  // ---- the view: the part of the picture that is seen
  const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
  let view = { x: 0, y: 0, w: width, h: height }, moving = 0;
  const show = () => svg.setAttribute('viewBox', [view.x, view.y, view.w, view.h].join(' '));
  const size = () => ({ w: Math.max(stage.clientWidth, 1), h: Math.max(stage.clientHeight, 1) });
  // Pixels of the screen for one of the picture.
  const scale = () => size().w / view.w;

  function go(to, at_once) {
    cancelAnimationFrame(moving);
    if (at_once || calm.matches || document.hidden) { view = to; return show(); }
    const from = view, start = performance.now();
    const step = (now) => {
      const t = Math.min((now - start) / 180, 1), e = 1 - (1 - t) ** 3;
      view = { x: from.x + (to.x - from.x) * e, y: from.y + (to.y - from.y) * e, w: from.w + (to.w - from.w) * e, h: from.h + (to.h - from.h) * e };
      show();
      if (t < 1) moving = requestAnimationFrame(step);
    };
    moving = requestAnimationFrame(step);
  }
  const shaped = (x, y, zoom) => {
    const { w, h } = size();
    return { x: x - w / zoom / 2, y: y - h / zoom / 2, w: w / zoom, h: h / zoom };
  };
  const fit = (at_once) => {
    const { w, h } = size();
    go(shaped(width / 2, height / 2, Math.min(w / width, h / height, 1.4)), at_once);
  };
  const bounded = (zoom) => Math.min(Math.max(zoom, Math.min(0.02, size().w / width / 2)), 6);
  // Zooms so that the point of the picture at (x, y) of the stage stays where it is.
  function zoom(by, x = size().w / 2, y = size().h / 2, at_once = false) {
    const now = scale(), next = bounded(now * by), { w, h } = size();
    const px = view.x + x / now, py = view.y + y / now;
    go({ x: px - x / next, y: py - y / next, w: w / next, h: h / next }, at_once);
  }
  const pan = (dx, dy) => go({ ...view, x: view.x + dx / scale(), y: view.y + dy / scale() }, true);
  const middle = (index) => { const b = nodeOf(index).getBBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
  const centre = (index) => go(shaped(...middle(index), bounded(Math.max(scale(), 0.9))));
  // Moves no further than needed for a task to be seen.
  function reveal(index) {
    const b = nodeOf(index).getBBox(), rim = 20 / scale();
    const inside = b.x > view.x + rim && b.y > view.y + rim && b.x + b.width < view.x + view.w - rim && b.y + b.height < view.y + view.h - rim;
    if (!inside) centre(index);
  }

  // ---- pointer
  const pointers = new Map();
  let dragged = false;
  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 1) dragged = false;
  });
  svg.addEventListener('pointermove', (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    if (!dragged && Math.hypot(dx, dy) < 4) return;
    if (!dragged) { dragged = true; svg.classList.add('moving'); svg.setPointerCapture(event.pointerId); }
    const others = [...pointers].filter(([id]) => id !== event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (others.length === 0) return pan(-dx, -dy);
    const [ox, oy] = others[0][1], box = stage.getBoundingClientRect();
    const by = Math.hypot(event.clientX - ox, event.clientY - oy) / Math.max(Math.hypot(last[0] - ox, last[1] - oy), 1);
    zoom(by, (event.clientX + ox) / 2 - box.left, (event.clientY + oy) / 2 - box.top, true);
  });
  const release = (event) => { pointers.delete(event.pointerId); if (pointers.size === 0) svg.classList.remove('moving'); };
  svg.addEventListener('pointerup', release);
  svg.addEventListener('pointercancel', release);
  svg.addEventListener('wheel', (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect(), unit = event.deltaMode === 1 ? 18 : 1;
    zoom(Math.exp(-event.deltaY * unit * 0.0016), event.clientX - box.left, event.clientY - box.top, true);
  }, { passive: false });
  svg.addEventListener('click', (event) => {
    if (dragged) return;
    const node = event.target.closest('.node');
    if (node) open(Number(node.id.slice(1))); else close();
  });

  // ---- the panel
  function el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name === 'onclick') made.addEventListener('click', value);
      else if (value !== undefined && value !== null) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }
  const took = (ms) => ms < 1000 ? `${ms}ms` : ms < 60000 ? `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)}s` : `${Math.floor(ms / 60000)}m${String(Math.round(ms % 60000 / 1000)).padStart(2, '0')}s`;
  function ago(at) {
    const s = (Date.now() - Date.parse(at)) / 1000;
    if (!Number.isFinite(s)) return at;
    const [count, unit] = s < 90 ? [Math.max(s, 0), 's'] : s < 5400 ? [s / 60, ' min'] : s < 129600 ? [s / 3600, ' h'] : [s / 86400, ' days'];
    return `${Math.round(count)}${unit} ago`;
  }
  const links = (list, other) => {
    const shown = new Map();
    for (const { task, edge } of list) {
      const [, , kind, words] = edges[edge];
      if (!shown.has(task)) shown.set(task, el('button', { type: 'button', title: words, onclick: () => { open(task); reveal(task); } }, tasks[task].name, kind === 'data' ? null : [' ', el('small', {}, kind)]));
    }
    return el('div', { class: 'links', 'aria-label': other }, [...shown.values()]);
  };
  const outcomes = { fresh: 'good', hit: 'good', ran: 'good', failed: 'bad', warned: 'warned' };

  function findings(list) {
    return list.map((found) => {
      const code = codes[found.code];
      return el('div', { class: 'finding ' + found.severity },
        el('div', {}, el('strong', {}, found.severity + ': '), found.message),
        found.help ? el('div', { class: 'faint' }, 'help: ' + found.help) : null,
        el('details', {}, el('summary', {}, el('code', {}, found.code), code ? ': ' + code.title : ''),
          code ? el('p', {}, code.why + ' ' + code.mend) : null, found.at ? el('p', { class: 'faint' }, found.at) : null));
    });
  }
  function key(recorded) {
    const others = {
      always: 'It always runs, so that no result of it is recorded.',
      service: 'A service leaves no result; what needs it does.',
      dirty: 'Its last run did not succeed.',
      none: 'Nothing is recorded: it has not succeeded here yet.',
    };
    if (recorded.state in others) return [el('p', {}, others[recorded.state])];
    const groups = new Map();
    for (const [kind, name, shown] of recorded.parts ?? []) groups.set(kind, [...(groups.get(kind) ?? []), [name, shown]]);
    return [
      el('p', {}, 'key ', el('code', {}, recorded.key), ', took ', took(recorded.took_ms), '; ', el('code', {}, `weir explain ${tasks[chosen].name}`), ' says whether it still holds'),
      ...[...groups].map(([kind, rows]) => el('details', rows.length < 6 ? { open: '' } : {}, el('summary', {}, `${kind} (${rows.length + (recorded.more?.[kind] ?? 0)})`),
        el('table', {}, rows.map(([name, shown]) => el('tr', {}, el('td', { class: 'mono' }, name), el('td', { class: 'mono' }, shown)))),
        recorded.more?.[kind] ? el('p', { class: 'faint' }, `and ${recorded.more[kind]} more`) : null)),
      recorded.parts ? null : el('p', { class: 'faint' }, 'What its key was made of is no longer on record.'),
    ];
  }
  function runs(list) {
    if (list.length === 0) return [el('p', {}, 'In none of the recorded runs.')];
    return [el('table', {}, list.map((run) => el('tr', {},
      el('td', { class: outcomes[run.outcome] }, run.outcome, run.node ? el('div', { class: 'faint' }, run.node) : null, run.why ? el('div', { class: 'faint' }, run.why) : null),
      el('td', { class: 'number' }, run.ms === null ? '' : took(run.ms)),
      el('td', { class: 'when', title: run.at }, ago(run.at)),
      el('td', { class: 'mono faint' }, run.run))))];
  }
  function fill(index) {
    const task = tasks[index];
    const section = (title, ...children) => children.flat().some(Boolean) ? [el('h3', {}, title), ...children.flat().filter(Boolean)] : [];
    panel.replaceChildren(
      el('div', { class: 'top' }, el('h2', { id: 'name' }, task.name), el('button', { type: 'button', 'aria-label': 'Close', title: 'Close ( Esc )', onclick: close }, '×')),
      el('p', {}, task.words.map((word) => el('span', { class: 'badge' }, word))),
      ...(task.description ? [el('p', { class: 'about' }, task.description)] : []),
      ...(task.aliases.length ? [el('p', { class: 'faint' }, 'also ' + task.aliases.join(', '))] : []),
      ...section('Findings', findings(task.findings)),
      ...section('Waits for', before[index].length ? links(before[index], 'waits for') : null),
      ...section('Needed by', after[index].length ? links(after[index], 'needed by') : null),
      ...section('Definition', el('p', { class: 'faint' }, task.at), el('pre', { tabindex: '0' }, task.definition)),
      ...(task.acts ? section('Last result', key(task.recorded)) : []),
      ...(task.acts ? section('Last runs', runs(task.runs)) : []));
  }

  // ---- choosing a task
  let chosen = null, back = null;
  const reached = (start, next, mark) => {
    const seen = new Set([start]), stack = [start];
    while (stack.length) for (const { task, edge } of next[stack.pop()]) {
      $('e' + edge).classList.add(mark);
      if (!seen.has(task)) { seen.add(task); stack.push(task); nodeOf(task).classList.add(mark); }
    }
  };
  const unmark = (...names) => names.forEach((name) => svg.querySelectorAll('.' + name).forEach((marked) => marked.classList.remove(name)));
  function open(index) {
    unmark('chosen', 'before', 'after');
    chosen = index;
    back = nodeOf(index);
    svg.classList.add('focused');
    back.classList.add('chosen');
    reached(index, before, 'before');
    reached(index, after, 'after');
    const was = panel.hidden, at = { ...view, s: scale() };
    fill(index);
    panel.hidden = false;
    panel.scrollTop = 0;
    if (was) { // The stage is narrower now: keep the scale, and the task in sight.
      const { w, h } = size();
      go({ x: at.x, y: at.y, w: w / at.s, h: h / at.s }, true);
    }
    reveal(index);
    panel.focus({ preventScroll: true });
    history.replaceState(null, '', '#' + encodeURIComponent(tasks[index].name));
  }
  function close() {
    if (chosen === null) return;
    unmark('chosen', 'before', 'after');
    svg.classList.remove('focused');
    const s = scale();
    panel.hidden = true;
    chosen = null;
    const { w, h } = size();
    go({ ...view, w: w / s, h: h / s }, true);
    back?.focus({ preventScroll: true });
    history.replaceState(null, '', location.pathname);
  }
  svg.addEventListener('focusin', (event) => {
    const node = event.target.closest('.node');
    if (node && node.matches(':focus-visible')) reveal(Number(node.id.slice(1)));
  });

  // ---- finding a task
  let found = [], at = 0;
  function look() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    unmark('match');
    found = [];
    if (words.length) {
      const fits = (text) => words.every((word) => text.toLowerCase().includes(word));
      const named = tasks.map((task, index) => index).filter((index) => fits([tasks[index].name, ...tasks[index].aliases].join(' ')));
      const told = tasks.map((task, index) => index).filter((index) => !named.includes(index) && fits(tasks[index].name + ' ' + (tasks[index].description ?? '')));
      named.sort((a, b) => tasks[a].name.length - tasks[b].name.length);
      found = [...named, ...told];
    }
    at = 0;
    found.forEach((index) => nodeOf(index).classList.add('match'));
    matches.replaceChildren(...found.slice(0, 12).map((index, row) => el('li', { role: 'option', id: 'match' + row, onclick: () => take(row) }, tasks[index].name)));
    if (words.length && !found.length) matches.append(el('li', { class: 'none', role: 'option', 'aria-disabled': 'true' }, 'no task'));
    matches.hidden = !words.length;
    search.setAttribute('aria-expanded', String(!matches.hidden));
    point();
  }
  function point() {
    [...matches.children].forEach((row, index) => row.setAttribute('aria-selected', String(index === at && found.length > 0)));
    if (found.length) search.setAttribute('aria-activedescendant', 'match' + at); else search.removeAttribute('aria-activedescendant');
  }
  function take(row) {
    const index = found[row];
    if (index === undefined) return;
    leave();
    open(index);
    centre(index);
  }
  function leave() { search.value = ''; look(); search.blur(); }
  search.addEventListener('input', look);
  search.addEventListener('keydown', (event) => {
    const rows = Math.min(found.length, 12);
    if (event.key === 'ArrowDown' && rows) at = (at + 1) % rows;
    else if (event.key === 'ArrowUp' && rows) at = (at + rows - 1) % rows;
    else if (event.key === 'Enter') return take(at);
    else if (event.key === 'Escape') { event.stopPropagation(); return leave(); }
    else return;
    event.preventDefault();
    point();
  });

  // ---- keys
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === search) return;
    const node = event.target.closest?.('.node');
    const moves = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] };
    if (event.key === 'Escape') close();
    else if (node && (event.key === 'Enter' || event.key === ' ')) open(Number(node.id.slice(1)));
    else if (event.key === '+' || event.key === '=') zoom(1.25);
    else if (event.key === '-') zoom(0.8);
    else if (event.key === '0') fit();
    else if (event.key === '/') search.focus();
    else if (moves[event.key] && !panel.contains(event.target)) pan(...moves[event.key]);
    else return;
    event.preventDefault();
  });
  $('in').addEventListener('click', () => zoom(1.25));
  $('out').addEventListener('click', () => zoom(0.8));
  $('fit').addEventListener('click', () => fit());
  addEventListener('resize', () => { const s = scale(), { w, h } = size(); go({ ...view, w: w / s, h: h / s }, true); });

  // ---- what the audit found, marked on the boxes
  const worst = ['error', 'warning'];
  tasks.forEach((task, index) => {
    const severity = worst.find((one) => task.findings.some((found) => found.severity === one));
    if (!severity) return;
    const box = nodeOf(index).querySelector('.body').getBBox();
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    mark.setAttribute('class', 'mark ' + severity);
    for (const [name, value] of [['cx', box.x + box.width - 4], ['cy', box.y + 3], ['r', 6]]) mark.setAttribute(name, value);
    nodeOf(index).append(mark);
    nodeOf(index).setAttribute('aria-label', nodeOf(index).getAttribute('aria-label') + ', ' + task.findings.length + ' findings');
  });

  fit(true);
  const named = decodeURIComponent(location.hash.slice(1));
  const start = tasks.findIndex((task) => task.name === named);
  if (named && start >= 0) { open(start); centre(start); }
})();
