"use strict";
// The page of quizzes: compares an answer with those that the page knows. What to say stands in the page itself, in the
// list below each question, where it can be read without this script.
(function () {
  /** A number as people type it: 61,706 and 0,003 and −2 are numbers, too. */
  function parse(text) {
    let plain = text.trim().replace("\u2212", "-").replace(/[\s%]/g, "");
    plain = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(plain) ? plain.replaceAll(",", "") : plain.replace(",", ".");
    return plain === "" ? NaN : Number(plain);
  }

  function near(a, b, tolerance) {
    return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
  }

  /** What was answered, and the list item about it, if there is one. */
  function answer(form) {
    const known = [...form.querySelectorAll("li[data-value]")];
    if (!form.dataset.tolerance) {
      const picked = form.querySelector("input:checked");
      return picked && { item: known.find((item) => item.dataset.value === picked.value) };
    }
    const value = parse(form.querySelector("input").value);
    if (!Number.isFinite(value)) return null;
    const tolerance = Number(form.dataset.tolerance);
    const item = known.find((item) => near(value, Number(item.dataset.value), tolerance));
    const right = Number(known.find((item) => "right" in item.dataset).dataset.value);
    return { item, size: value < right ? "small" : "large" };
  }

  function judge(form) {
    const given = answer(form);
    if (!given) {
      return ["", form.dataset.tolerance ? "Give a number first." : "Choose an answer first."];
    }
    if (!given.item) return ["wrong", `Not yet. That is too ${given.size}, and no slip that we know leads there.`];
    const why = given.item.querySelector("span").textContent;
    return "right" in given.item.dataset ? ["right", `Right. ${why}`] : ["wrong", `Not yet. ${why}`];
  }

  function check(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const feedback = form.querySelector(".quiz-feedback");
    const [state, text] = judge(form);
    const line = document.createElement("p");
    line.textContent = text;
    feedback.replaceChildren(line);
    feedback.dataset.state = state;
    if (state === "wrong") {
      const link = form.querySelector("details a").cloneNode(true);
      line.append(" Read ", link, ".");
    }
  }

  for (const form of document.querySelectorAll("form.quiz")) {
    form.querySelector("button").hidden = false;
    form.addEventListener("submit", check);
  }
})();
