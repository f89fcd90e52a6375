// The theme of Airflow, the viewer's own time in titles, and links out of Airflow's frame. Pages are readable without.
"use strict";
const root = document.documentElement;
const setTheme = () => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme"); // next-themes, in Airflow's UI: light, dark or system
  } catch { /* a browser that refuses storage: the system's choice counts */ }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  else delete root.dataset.theme;
};
setTheme();
addEventListener("storage", (event) => { if (event.key === "theme") setTheme(); });

addEventListener("DOMContentLoaded", () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, {dateStyle: "full", timeStyle: "long"});
  }
  for (const link of document.querySelectorAll("a[data-airflow]")) {
    link.addEventListener("click", (event) => {
      if (parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
      // Airflow's frame may not leave its page: a link of the outer document may.
      event.preventDefault();
      const outer = parent.document.createElement("a");
      outer.href = link.href;
      outer.click();
    });
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const source = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(source);
      document.execCommand("copy"); // the newer way is closed to frames
      button.textContent = "Copied";
    });
  }
});
