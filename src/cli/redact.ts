/** Up to the last `@` of the word: a password with an unescaped `@` or `/` must not show its tail. `PASSWORD` is a hint's placeholder. */
const URL_PASSWORD = /\b(postgres(?:ql)?:\/\/[^\s:/@"']*):(?!PASSWORD@)[^\s"']*@/gi;
const URL_PARAMETER = /([?&](?:ssl)?password=)[^\s&"']*/gi;

/**
 * The text without the passwords of connection URLs. Everything that is printed or logged passes here. Only URLs:
 * a plan may well show a column that is called password.
 */
export function redact(text: string): string {
  return text.replace(URL_PARAMETER, '$1***').replace(URL_PASSWORD, '$1:***@');
}
