const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
for (const block of document.querySelectorAll("script[data-chart]")) {
  const holder = document.getElementById("chart-" + block.dataset.chart);
  const target = document.createElement("div");
  vegaEmbed(target, JSON.parse(block.textContent), {
    ast: true, actions: false, renderer: "svg", tooltip: {theme: dark ? "dark" : "light"},
  }).then(() => {
    holder.querySelector("svg").replaceWith(target);
    holder.dataset.live = "yes";
  });
}
