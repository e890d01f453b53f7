// Dark or light, as the notebook says that the page stands in, else as the system does.

export function themed(root, onchange) {
  const system = matchMedia("(prefers-color-scheme: dark)"), { dataset } = document.body;
  const told = () => {
    if (dataset.jpThemeLight) return dataset.jpThemeLight === "false"; // JupyterLab
    if (dataset.vscodeThemeKind) return /dark/.test(dataset.vscodeThemeKind);
    return system.matches;
  };
  const turn = () => { root.classList.toggle("dark", told()); onchange(); };
  const host = new MutationObserver(turn);
  host.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  system.addEventListener("change", turn);
  root.classList.toggle("dark", told());
  return { close() { host.disconnect(); system.removeEventListener("change", turn); } };
}
