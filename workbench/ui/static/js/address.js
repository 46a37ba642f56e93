/** Keeps the address of the page in step with what is shown. Its value: the query as an object, null for none. */
import { writeQuery } from "./link.js";

export function mount(element, { props, watch }) {
  const write = () => props.value && writeQuery(props.value);
  watch("value", write);
  write();
}
