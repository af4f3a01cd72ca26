// @ts-check
/**
 * The login page: says in its own words why somebody is not let in, and takes what an invitation's address holds out of its fragment,
 * which no server ever sees: `#code=…` once, or a room's `#room=…&pin=…`. Without this script the forms work all the same.
 */
import { t, translatePage } from "./i18n.js";

const invitation = new URLSearchParams(location.hash.slice(1));
// Out of the address bar and the history before anything else.
if (location.hash) history.replaceState(null, "", location.pathname + location.search);

translatePage();
document.title = `Lockstep: ${t("login.enter")}`;

/** Who tried too often, or typed wrongly, reads it here. @param {number} status @param {Record<string, string>} shown */
function refuse(status, shown) {
  const key = status === 429 ? "login.wait" : status !== 401 ? "login.failed" : "pin" in shown ? "login.wrongPin" : "code" in shown ? "login.usedUp" : "login.wrong";
  const old = document.querySelector(".login-fault");
  const fault = Object.assign(document.createElement("p"), { className: "login-fault", textContent: t(key) });
  fault.setAttribute("role", "alert");
  old?.remove();
  document.querySelector("h1")?.after(fault);
}

/** @param {Record<string, string>} shown what somebody shows of themselves */
async function enter(shown) {
  try {
    const answer = await fetch("api/v1/login", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(shown) });
    if (!answer.ok) return refuse(answer.status, shown);
    const { room } = await answer.json();
    location.replace(room ? `./?room=${encodeURIComponent(room)}` : "./");
  } catch {
    refuse(0, shown);
  }
}

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button?.getAttribute("aria-disabled")) return;
    button?.setAttribute("aria-disabled", "true");
    const fields = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    await enter(fields);
    button?.removeAttribute("aria-disabled");
  });
}

const [code, room, pin] = ["code", "room", "pin"].map((name) => invitation.get(name));
const details = /** @type {HTMLDetailsElement} */ (document.getElementById("guest"));
if (room) {
  /** @type {HTMLInputElement} */ (document.getElementById("room")).value = room;
  details.open = true;
}
if (code) await enter({ code });
else if (room && pin) await enter({ room, pin });
