const words = document.getElementById("words");
const boxes = [...document.querySelectorAll("nav input[type=checkbox]")];
function filter() {
  const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const wanted = words.value.trim().toLowerCase();
  for (const entry of document.querySelectorAll(".entry")) {
    const status = entry.classList[1];
    entry.hidden = !shown.has(status) || !entry.textContent.toLowerCase().includes(wanted);
  }
}
words.addEventListener("input", filter);
boxes.forEach((box) => box.addEventListener("change", filter));
