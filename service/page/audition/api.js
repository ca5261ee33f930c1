// The service: requests with the visitor's key go out, plain objects or a Problem come back.

const KEY = "yuyin-key";

export class Problem extends Error {
  constructor({ code, detail = "", request_id = null }, retry_after_s = null) {
    super(detail || code);
    Object.assign(this, { code, detail, request_id, retry_after_s });
  }
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

export const setKey = (key) => sessionStorage.setItem(KEY, key);

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

function problemOf(status, text, retryAfter) {
  const seconds = Number.parseFloat(retryAfter) || null;
  try {
    const body = JSON.parse(text);
    if (body.code) return new Problem(body, seconds);
  } catch { /* a proxy in between answered in its own words */ }
  return new Problem({ code: status === 413 ? "video_too_large" : "strange_answer" }, seconds);
}

async function answer(path, init = {}) {
  let response;
  try {
    response = await fetch(path, { ...init, headers: headers(init.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "unreachable" });
  }
  if (!response.ok) throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ code: "strange_answer" }); // the sign-in page of a network, for one
  }
}

export async function getJson(path, init) {
  return parse(await (await answer(path, init)).text());
}

export const getBlob = async (path) => (await answer(path)).blob();

export const postJson = (path, body) => getJson(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

// XMLHttpRequest, since fetch does not tell how much of a body is sent.
export function recommend(file, options, { onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open("POST", `/v1/recommend?options=${encodeURIComponent(JSON.stringify(options))}`);
    for (const [name, value] of Object.entries(headers({ "Content-Type": "application/octet-stream" }))) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onSent(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      if (request.status !== 200) return reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      try { resolve(parse(request.responseText)); } catch (problem) { reject(problem); }
    };
    // A file that was exported anew, or is a folder, fails in the same way as the network does.
    request.onerror = () => file.slice(0, 1).arrayBuffer().then(
      () => reject(new Problem({ code: "unreachable" })), () => reject(new Problem({ code: "unreadable_file" })));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    request.send(file);
  });
}
