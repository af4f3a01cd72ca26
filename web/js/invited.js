// @ts-check
/**
 * The login page's script: takes the one-use code of an invitation out of the address's fragment, which no server ever sees, and
 * logs in with it.
 */
const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code !== null) {
  // Out of the address bar and the history before anything else.
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("api/v1/login", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ code }) });
  if (answer.ok) location.replace("./");
  else {
    const fault = document.createElement("p");
    fault.setAttribute("role", "alert");
    fault.textContent = String((await answer.json()).detail);
    document.querySelector("form")?.before(fault);
  }
}

export {};
