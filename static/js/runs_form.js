/* The runs table with what is done with its chosen runs. */
import { mount as mountSelection } from "./selection.js";
import { mount as mountTable } from "./table.js";

export function mount(root) {
  mountTable(root);
  mountSelection(root);
}
