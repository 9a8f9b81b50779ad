'use strict';
for (const figure of document.querySelectorAll('.slider')) {
  const find = (selector) => figure.querySelector(selector);
  const write = (selector, text) => { find(selector).textContent = text; };
  const { chosen, points, examples } = JSON.parse(find('script').textContent);
  const answers = [...figure.querySelectorAll('.prediction')];
  const [range, reset] = [find('input'), find('button')];
  const show = () => {
    const point = points[range.value];
    const isChosen = Number(range.value) === chosen;
    const told = `α = ${point.alpha}` + (isChosen ? ', chosen' : '');
    range.setAttribute('aria-valuetext', told);
    reset.disabled = isChosen;
    write('.alpha', told);
    for (const set of ['patching', 'supported']) {
      write(`.${set} b`, point[set].value);
      write(`.${set} .ci`, point[set].detail);
    }
    find('.cursor circle').setAttribute('cx', point.x);
    find('.cursor circle').setAttribute('cy', point.y);
    find('.cursor path').setAttribute('d', point.intervals);
    examples.forEach(({ label, predictions }, i) => {
      const prediction = predictions[range.value];
      answers[i].textContent = prediction;
      answers[i].className = prediction === label ? 'prediction right' : 'prediction wrong';
    });
    find('.n-right')?.replaceChildren(figure.querySelectorAll('.prediction.right').length);
  };
  range.addEventListener('input', show);
  reset.addEventListener('click', () => { range.value = chosen; show(); range.focus(); });
  find('.control').hidden = false;
  show();
}
