"use strict";
/* Themes in turn: the system's, light, dark; a page keeps its reader's in its state. */

const THEMES = ["", "light", "dark"];
const theme = document.getElementById("theme");
function showTheme() {
  if (!THEMES.includes(state.theme)) state.theme = "";
  if (state.theme) document.documentElement.dataset.theme = state.theme; else delete document.documentElement.dataset.theme;
  theme.textContent = "Theme: " + (state.theme || "auto");
}
theme.onclick = () => {
  state.theme = THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length];
  writeState();
  showTheme();
};
