using NUnit.Framework;
using NUnit.Framework.Constraints;
using Xen.Blkif.Hypervisor;
using Xen.Blkif.Testing;

namespace Xen.Blkif.Tests.Testing.Events;

internal sealed class EventChannelTests
{
    private const int Long = 60_000;

    [Test]
    public void A_notification_reaches_the_other_end_in_either_direction()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        guest.Notify();
        Assert.That(backend.Wait(Long), Is.True);
        Assert.That(guest.Wait(0), Is.False);
        backend.Notify();
        Assert.That(guest.Wait(Long), Is.True);
        Assert.That((guest.Notifications, backend.Notifications), Is.EqualTo((1L, 1L)));
    }

    [Test]
    public void A_channel_that_is_just_bound_has_an_event_pending()
    {
        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(1).AllocateUnbound(0);
        using var backend = xen.Events.Bind(1, guest.Port);

        Assert.That(backend.Wait(0), Is.True);
        Assert.That(backend.Wait(0), Is.False);
        Assert.That(guest.Wait(0), Is.False);
    }

    [Test]
    public void Notifications_coalesce()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        for (var i = 0; i < 1000; i++)
            guest.Notify();

        Assert.That(backend.Wait(0), Is.True);
        Assert.That(backend.Wait(0), Is.False);
        Assert.That(guest.Notifications, Is.EqualTo(1000));
    }

    [Test]
    public void A_wait_ends_when_its_time_is_over()
    {
        using var xen = new SimulatedXen();
        var (_, backend) = Connect(xen);

        Assert.That(backend.Wait(1), Is.False);
        Assert.That(() => backend.Wait(-2), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_wake_up_ends_the_next_wait_without_the_other_end()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        backend.Wake();

        Assert.That(backend.Wait(Long), Is.True);
        Assert.That(guest.Wait(0), Is.False);
        Assert.That(backend.Notifications, Is.Zero);
    }

    [Test]
    public void A_wait_for_a_wake_up_is_not_ended_by_the_other_end_whose_events_the_next_wait_finds()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        guest.Notify();
        Assert.That(backend.WaitForWake(1), Is.False);
        backend.Wake();
        Assert.That(backend.WaitForWake(Long), Is.True);
        Assert.That(backend.WaitForWake(0), Is.False, "the wake-up is over");
        Assert.That(backend.Wait(0), Is.True, "the event is still there");
        Assert.That(backend.Wait(0), Is.False);
        Assert.That(() => backend.WaitForWake(-2), Throws.InstanceOf<ArgumentOutOfRangeException>());
        backend.Dispose();
        Assert.That(() => backend.WaitForWake(0), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_wake_up_from_another_thread_ends_a_wait_for_it_during_a_storm_of_events()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);
        using var stop = new CancellationTokenSource();
        var storm = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
                guest.Notify();
        });
        for (var i = 0; i < 1000; i++)
        {
            var waker = Task.Run(backend.Wake);
            Assert.That(backend.WaitForWake(Long), Is.True);
            waker.GetAwaiter().GetResult();
        }

        stop.Cancel();
        storm.GetAwaiter().GetResult();
    }

    [Test]
    public void No_wake_up_is_lost_between_two_threads([Values(0, 5)] int spin)
    {
        using var xen = new SimulatedXen();
        xen.Limits.WaitSpinMicroseconds = spin;
        var (guest, backend) = Connect(xen);
        const int Rounds = 20_000;
        var served = 0;
        var thread = new Thread(() =>
        {
            while (served < Rounds && backend.Wait(Long))
            {
                served++;
                backend.Notify();
            }
        });
        thread.Start();

        for (var i = 0; i < Rounds; i++)
        {
            guest.Notify();
            if (!guest.Wait(Long))
                Assert.Fail($"The answer to notification {i} did not come.");
        }

        thread.Join();
        Assert.That(served, Is.EqualTo(Rounds));
    }

    [Test]
    public void Only_the_domain_it_is_for_binds_to_a_port_and_only_once()
    {
        using var xen = new SimulatedXen();
        var guest = xen.CreateGuest(1);
        using var other = guest.AllocateUnbound(7);
        using var mine = guest.AllocateUnbound(0);
        using var bound = xen.Events.Bind(1, mine.Port);

        Assert.That(() => xen.Events.Bind(1, other.Port), Refused(1, other.Port));
        Assert.That(() => xen.Events.Bind(1, mine.Port), Refused(1, mine.Port));
        Assert.That(() => xen.Events.Bind(1, 77), Refused(1, 77));
        Assert.That(() => xen.Events.Bind(2, 1), Refused(2, 1));
        Assert.That(() => xen.Events.Bind(0, bound.Port), Refused(0, bound.Port));
        Assert.That(xen.Events.Bound, Is.EqualTo(1));
    }

    [Test]
    public void A_binding_fails_on_demand()
    {
        using var xen = new SimulatedXen();
        using var guest = xen.CreateGuest(1).AllocateUnbound(0);
        xen.Events.BindFault = (domain, port) => domain == 1 && port == guest.Port;

        Assert.That(() => xen.Events.Bind(1, guest.Port), Refused(1, guest.Port));
        Assert.That(xen.Events.Bound, Is.Zero);
    }

    [Test]
    public void A_port_is_free_to_bind_to_again_when_the_backend_has_closed_its_end()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        backend.Dispose();
        backend.Dispose();
        guest.Notify();

        Assert.That((guest.Notifications, guest.IsBound, xen.Events.Bound), Is.EqualTo((0L, false, 0)));
        Assert.That(() => backend.Wait(0), Throws.InstanceOf<ObjectDisposedException>());
        using var again = xen.Events.Bind(1, guest.Port);
        guest.Notify();
        Assert.That(guest.Notifications, Is.EqualTo(1));
    }

    [Test]
    public void A_guest_that_dies_takes_its_ends_away_and_ends_its_waits()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);
        var waiter = new Thread(() =>
        {
            try
            {
                _ = guest.Wait(-1);
            }
            catch (ObjectDisposedException)
            {
                // The guest was gone before the wait began.
            }
        });
        waiter.Start();

        xen.DestroyGuest(1);
        backend.Notify();

        Assert.That(waiter.Join(Long), Is.True);
        Assert.That((backend.Notifications, xen.Events.Bound), Is.EqualTo((0L, 1)));
        backend.Dispose();
        Assert.That(xen.Events.Bound, Is.Zero);
        using var heir = xen.CreateGuest(1).AllocateUnbound(0);
        guest.Dispose();
        using var bound = xen.Events.Bind(1, heir.Port);
        Assert.That(bound.Remote, Is.EqualTo(new DomainId(1)));
    }

    [Test]
    public void Notifying_and_looking_for_an_event_allocate_nothing()
    {
        using var xen = new SimulatedXen();
        var (guest, backend) = Connect(xen);

        Assert.That(
            Allocations.Of(() =>
            {
                guest.Notify();
                _ = backend.Wait(0);
                _ = backend.Wait(0);
            }),
            Is.Zero);
    }

    private static (SimulatedEventChannel Guest, SimulatedEventChannel Backend) Connect(SimulatedXen xen)
    {
        var guest = xen.CreateGuest(1).AllocateUnbound(0);
        var backend = xen.Events.Bind(1, guest.Port);
        Assert.That(backend.Wait(0), Is.True);
        return (guest, backend);
    }

    private static ContainsConstraint Refused(DomainId domain, uint port) =>
        Throws.TypeOf<HypervisorException>().With.Message.Contains($"Port {port} of domain {domain}");
}
