const URL_PASSWORD = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]*@/gi;
const PARAMETER = /\b(password|passwd|sslpassword)(\s*[=:]\s*)('[^']*'|"[^"]*"|[^\s&,}]+)/gi;

/** The text without the passwords of connection URLs and settings. Everything that is printed or logged passes here. */
export function redact(text: string): string {
  return text.replace(URL_PASSWORD, '$1:***@').replace(PARAMETER, '$1$2***');
}
