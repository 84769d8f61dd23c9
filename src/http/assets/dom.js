// Elements made and filled without ever parsing text as markup: names and labels come from whoever records.

export const byId = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Sets text only where it differs, so that a screen reader is not told of what did not change. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The value of a CSS custom property. */
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
