// Offers to tell somebody in this browser; where that cannot be, the page says why.
(() => {
  "use strict";
  const region = document.getElementById("push"), form = region?.querySelector("form");
  if (!form) return;
  const show = (name) => region.querySelectorAll("[data-push]").forEach((part) => { part.hidden = part.dataset.push !== name; });
  const known = isSecureContext && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  const rest = () => {
    if (!isSecureContext) return "insecure";
    if (!known) return "unsupported";
    if (Notification.permission === "denied") return "denied";
    return "here" in region.dataset && Notification.permission === "granted" ? "here" : "offer";
  };
  const begin = async () => {
    if (await Notification.requestPermission() !== "granted") return show(rest());
    await navigator.serviceWorker.register("/sw.js");
    const {pushManager} = await navigator.serviceWorker.ready;
    await (await pushManager.getSubscription())?.unsubscribe(); // whatever it was, and whosever: a new address each time
    const {endpoint, keys} = (await pushManager.subscribe({userVisibleOnly: true, applicationServerKey: form.elements.key.value})).toJSON();
    Object.entries({endpoint, ...keys}).forEach(([name, value]) => { form.elements[name].value = value; });
    form.submit();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin().catch(() => show("unreachable"));
  });
  show(rest());
})();
