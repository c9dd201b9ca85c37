// Shows what the plane pushes, and opens it. It answers no request and keeps no copy of anything.
addEventListener("push", (event) => {
  const {title, body, path, topic} = event.data.json();
  event.waitUntil(registration.showNotification(title, {body, tag: topic, renotify: true, data: path}));
});
addEventListener("notificationclick", (event) => {
  event.notification.close();
  const url = new URL(event.notification.data, location.origin);
  if (url.origin !== location.origin) return;
  event.waitUntil((async () => {
    const tabs = await clients.matchAll({type: "window", includeUncontrolled: true});
    const open = tabs.find((tab) => tab.url === url.href); // any other tab may hold what somebody is typing
    await (open ? open.focus() : clients.openWindow(url.href));
  })());
});
