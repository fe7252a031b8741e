/* A study in one file: its figures from the documents inside it, and the theme; nothing is fetched. */
import { mount as mountFigures } from "./figure.js";
import { mount as mountTheme } from "./theme.js";

mountTheme(document);
mountFigures(document);
document.documentElement.dataset.ready = "true";
