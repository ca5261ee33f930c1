// Keys in, actions out, except where somebody types or a control uses the key itself.

const TYPING = "input:not([type=range]), textarea, select";

export function keyboard(actions, working) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const { target } = event;
    if (!action || target.closest(TYPING)) return;
    if (event.key === " " && target.closest("button, a, summary, label")) return; // it presses what has the focus
    if (event.key !== " " && event.key.length > 1 && target.closest("input[type=range], .wave")) return;
    if (!working() && event.key !== "?") return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) action();
  });
}
