const questions = [...document.querySelectorAll(".question")];
const buttons = [...document.querySelectorAll("button[data-filter]")];
const search = document.getElementById("search");
const shown = document.getElementById("shown");
function show() {
  const filter = decodeURIComponent(location.hash.slice(1)) || "all";
  const words = search.value.toLowerCase();
  let count = 0;
  for (const question of questions) {
    const fits = filter === "all" || question.dataset.groups.split(" ").includes(filter);
    question.hidden = !(fits && question.textContent.toLowerCase().includes(words));
    count += question.hidden ? 0 : 1;
  }
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.filter === filter);
  shown.textContent = `${count} of ${questions.length}` + (buttons.some((b) => b.dataset.filter === filter) ? "" : `: ${filter}`);
}
for (const button of buttons) button.addEventListener("click", () => { location.hash = button.dataset.filter; });
search.addEventListener("input", show);
addEventListener("hashchange", () => { show(); document.getElementById("questions").scrollIntoView(); });
show();
