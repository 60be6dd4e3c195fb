/**
 * For the `open-auto-focus` of a dialog: a tick later the library gives the focus to the dialog, whatever its form has given it to.
 * Whoever writes as soon as they see the form writes into its field.
 */
export function thenFocus(focus: () => void): () => void {
  return () => {
    setTimeout(focus);
  };
}
