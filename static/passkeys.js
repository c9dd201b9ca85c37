// Asks the browser for a passkey and sends what it answers; where there can be none, the page says why.
(() => {
  "use strict";
  const forms = [...document.querySelectorAll("form[data-passkey]")];
  const knows = (name) => window.PublicKeyCredential && name in PublicKeyCredential;
  const isNumber = /^[\d.]+$|:/.test(location.hostname); // browsers bind a passkey to a name
  const rest = () => {
    if (isNumber) return "number";
    if (!isSecureContext) return "insecure";
    return knows("parseCreationOptionsFromJSON") && knows("parseRequestOptionsFromJSON") ? "" : "unsupported";
  };
  const say = (form, name) => document.querySelectorAll(`[data-passkey-says][data-of="${form.id}"]`).forEach((part) => {
    part.hidden = part.dataset.passkeySays !== name;
  });
  const options = async (form) => {
    if (!form.dataset.options) return JSON.parse(document.getElementById("passkey-options").textContent);
    const answer = await fetch(form.dataset.options, {headers: {Accept: "application/json"}});
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  };
  const ask = async (form) => {
    const {creation_options: making, request_options: using} = await options(form);
    const credential = making
      ? await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(making.publicKey)})
      : await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(using.publicKey)});
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  };
  forms.forEach((form) => {
    const why = rest();
    form.hidden = Boolean(why);
    say(form, why);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      say(form, "");
      const failed = (error) => say(form, error.name === "InvalidStateError" ? "known" : error.name === "NotAllowedError" ? "cancelled" : "failed");
      ask(form).catch(failed);
    });
  });
})();
