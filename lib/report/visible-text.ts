/** Text of a guest's, made safe to print: what would move a terminal's cursor, colour it or turn its lines around shows as a sign. */

/** Control characters, and those that change the direction of text. */
const UNSEEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
/** Pictures of control characters: U+2400 stands for U+0000. */
const PICTURES = 0x2400;
const DELETE = 0x7f;

export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(PICTURES + code);
    return code === DELETE ? '\u2421' : '\ufffd';
  });
}

/** The same for text that may have lines and tabs, as output has. */
export function visibleLines(text: string): string {
  return text.replace(/[^\n\t]+/g, visible);
}
