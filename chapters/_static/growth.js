/* Draws the words of linrep.widgets.growing_cubes: one slider over training for all drawings, turned by mouse or keys. */
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const SIZE = 320, SCALE = 112, FAR = 5;

  function node(name, attributes, parent, text) {
    const made = document.createElementNS(name.startsWith("html:") ? "http://www.w3.org/1999/xhtml" : SVG, name.replace("html:", ""));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  /* Turned about the upright axis, then towards the reader, then seen from FAR. */
  function project([x, y, z], view) {
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    const across = cy * x + sy * y, into = -sy * x + cy * y;
    const up = cp * z - sp * into, depth = sp * z + cp * into;
    const near = FAR / (FAR + depth);
    return [SIZE / 2 + SCALE * near * across, SIZE / 2 - SCALE * near * up, depth];
  }

  function drawing(data, course, parent) {
    const box = node("html:div", { class: "growth-stage" }, parent);
    node("html:p", { class: "growth-title" }, box, course.title);
    const svg = node("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", tabindex: "0" }, box);
    const title = node("title", {}, svg);
    const lines = data.pairs.map((pairs, concept) => pairs.map(() => node("line", { class: `concept-${concept}` }, svg)));
    const dots = data.names.map(() => node("circle", { r: 4 }, svg));
    const words = data.names.map((name) => node("text", {}, svg, name));
    const readout = node("html:p", { class: "growth-readout" }, box);
    return { svg, draw(frame, view) {
      const places = course.points[frame].map((point) => project(point, view));
      data.pairs.forEach((pairs, concept) => pairs.forEach(([one, zero], number) => {
        const line = lines[concept][number];
        [["x1", zero, 0], ["y1", zero, 1], ["x2", one, 0], ["y2", one, 1]].forEach(([key, word, axis]) =>
          line.setAttribute(key, places[word][axis].toFixed(1)));
      }));
      places.forEach(([x, y], word) => {
        dots[word].setAttribute("cx", x.toFixed(1));
        dots[word].setAttribute("cy", y.toFixed(1));
        const out = Math.hypot(x - SIZE / 2, y - SIZE / 2) || 1;
        words[word].setAttribute("x", (x + 14 * (x - SIZE / 2) / out).toFixed(1));
        words[word].setAttribute("y", (y + 4 + 14 * (y - SIZE / 2) / out).toFixed(1));
      });
      readout.textContent = `KL ${course.kl[frame].toFixed(3)} nats, U ${course.linearity[frame].toFixed(2)}`;
      title.textContent = `${course.title}: eight words in space at clock ${data.clocks[frame]}, ${readout.textContent}. Arrow keys turn it.`;
    } };
  }

  function start(root) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const live = node("html:div", { class: "growth-live" }, root);
    const stages = node("html:div", { class: "growth-stages" }, live);
    const view = { yaw: -0.5, pitch: 0.35 };
    const drawings = data.courses.map((course) => drawing(data, course, stages));
    const controls = node("html:div", { class: "growth-controls" }, live);
    const play = node("html:button", { type: "button", class: "growth-play" }, controls, "Play");
    const slider = node("html:input", { type: "range", min: 0, max: data.clocks.length - 1, step: 1, "aria-label": "Training, from start to end" }, controls);
    const clock = node("html:output", { class: "growth-clock" }, controls);
    const legend = node("html:p", { class: "growth-legend" }, live);
    data.concepts.forEach((name, concept) => {
      const item = node("html:span", {}, legend);
      const sample = node("svg", { viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" }, item);
      node("line", { x1: 0, y1: 4, x2: 24, y2: 4, class: `concept-${concept}` }, sample);
      item.append(` ${name}`);
    });
    let timer = null;
    const draw = () => {
      const frame = Number(slider.value);
      drawings.forEach((each) => each.draw(frame, view));
      clock.textContent = `clock ${data.clocks[frame].toLocaleString("en")}`;
      slider.setAttribute("aria-valuetext", clock.textContent);
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) === data.clocks.length - 1) slider.value = 0;
      play.textContent = "Pause";
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        draw();
        if (Number(slider.value) === data.clocks.length - 1) stop();
      }, 120);
    });
    slider.addEventListener("input", () => { stop(); draw(); });
    const turn = (yaw, pitch) => {
      view.yaw += yaw;
      view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + pitch));
      draw();
    };
    const keys = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    drawings.forEach(({ svg }) => {
      svg.addEventListener("keydown", (event) => {
        if (!(event.key in keys)) return;
        event.preventDefault();
        turn(...keys[event.key]);
      });
      svg.addEventListener("pointerdown", (event) => svg.setPointerCapture(event.pointerId));
      svg.addEventListener("pointermove", (event) => {
        if (svg.hasPointerCapture(event.pointerId)) turn(-event.movementX / 120, event.movementY / 120);
      });
    });
    slider.value = data.clocks.length - 1;
    draw();
    root.classList.add("growth-ready");
  }

  document.querySelectorAll(".growth").forEach(start);
})();
